package lines

import (
	"encoding/json"
	"fmt"
	"os"
)

// A Phase is the outcome of one phase of the PodSecurityPolicy plugin.
type Phase struct {
	Allowed bool `json:"allowed"`
	// Policy is the one the plugin notes in the audit log, empty if it noted none.
	Policy  string `json:"policy"`
	Message string `json:"message"`
}

// A PSPAnswer is a line of `psp review`: what becomes of a request under the cluster's policies.
type PSPAnswer struct {
	ID string `json:"id"`
	// Error says why the request never reaches the plugin. Nothing else is set then.
	Error string `json:"error,omitempty"`
	// Allowed is whether all steps let the request pass.
	Allowed   bool     `json:"allowed"`
	Admit     Phase    `json:"admit"`
	APIErrors []string `json:"api_errors"`
	Validate  Phase    `json:"validate"`
	// ValidateOnly is the Validate phase on the pod as it was sent, as if nothing had mutated it.
	ValidateOnly Phase           `json:"validate_only"`
	Pod          json.RawMessage `json:"pod"`
}

// A Violation is what a constraint says against a request.
type Violation struct {
	Constraint string `json:"constraint"`
	Action     string `json:"action"`
	Message    string `json:"message"`
}

// A GatekeeperAnswer is a line of `gatekeeper validate` or `gatekeeper run`: what the validating webhook answers.
type GatekeeperAnswer struct {
	ID         string      `json:"id"`
	Allowed    bool        `json:"allowed"`
	Violations []Violation `json:"violations"`
	// APIErrors are those that the request came with.
	APIErrors []string `json:"api_errors,omitempty"`
	// Error says why the request was refused before or instead of a review.
	Error string `json:"error,omitempty"`
	// Skipped says why the webhook is not called.
	Skipped string `json:"skipped,omitempty"`
	// Object is the pod that was validated, and Mutated whether a mutator changed it; `gatekeeper run` alone says so.
	Object  json.RawMessage `json:"object,omitempty"`
	Mutated bool            `json:"mutated,omitempty"`
}

// Decode reads a line as a value of a type.
func Decode[T any](line []byte) (T, error) {
	var value T
	err := json.Unmarshal(line, &value)
	return value, err
}

// File calls with for every line of a file that is not empty.
func File(file string, with func(line []byte) error) error {
	opened, err := os.Open(file)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := Read(opened, with); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// ByID reads a file whose every line is about another request: parse returns its id and what to keep of it.
// Two lines with the same id are an error.
func ByID[T any](file string, parse func(line []byte) (string, T, error)) (map[string]T, error) {
	found := map[string]T{}
	err := File(file, func(line []byte) error {
		id, value, err := parse(line)
		if err != nil {
			return err
		}
		if _, twice := found[id]; twice {
			return fmt.Errorf("%s: answered twice", id)
		}
		found[id] = value
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
