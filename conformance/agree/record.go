package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"conformance/lines"
)

// An engines is what both engines say of a request, as it is kept beside the question.
type engines struct {
	ID           string          `json:"id"`
	Admit        json.RawMessage `json:"admit"`
	Validate     json.RawMessage `json:"validate"`
	ValidateOnly json.RawMessage `json:"validate_only"`
	// Pod is left out where the request is refused.
	Pod        any      `json:"pod,omitempty"`
	Violations []string `json:"violations"`
}

// record writes the answers to each request, in the order of the plugin's file.
// Every request must have reached admission.
func record(out io.Writer, pspFile, gatekeeperFile string) error {
	violations, err := read(gatekeeperFile, func(line []byte) (string, *[]string, error) {
		it := struct {
			ID         string      `json:"id"`
			Error      string      `json:"error"`
			Violations []violation `json:"violations"`
		}{}
		if err := json.Unmarshal(line, &it); err != nil {
			return "", nil, err
		}
		if it.Error != "" {
			return "", nil, fmt.Errorf("%s: %s", it.ID, it.Error)
		}
		messages := []string{}
		for _, violation := range it.Violations {
			messages = append(messages, violation.Message)
		}
		return it.ID, &messages, nil
	})
	if err != nil {
		return err
	}
	opened, err := os.Open(pspFile)
	if err != nil {
		return err
	}
	defer opened.Close()
	return lines.Read(opened, func(line []byte) error {
		it := struct {
			engines
			Error string `json:"error"`
		}{}
		if err := json.Unmarshal(line, &it); err != nil {
			return err
		}
		if it.Error != "" {
			return fmt.Errorf("%s: %s", it.ID, it.Error)
		}
		said := violations[it.ID]
		if said == nil {
			return fmt.Errorf("%s: Gatekeeper was not asked", it.ID)
		}
		it.Violations = *said
		var admit, validate struct {
			Allowed bool `json:"allowed"`
		}
		if err := json.Unmarshal(it.Admit, &admit); err != nil {
			return err
		}
		if err := json.Unmarshal(it.Validate, &validate); err != nil {
			return err
		}
		if it.Pod = stored(it.Pod); !admit.Allowed || !validate.Allowed {
			it.Pod = nil
		}
		raw, err := lines.Marshal(it.engines)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", raw)
		return err
	})
}
