package main

import (
	"fmt"
	"io"

	"conformance/lines"
)

// An engines is what both engines say of a request, as it is kept beside the question.
type engines struct {
	ID           string      `json:"id"`
	Admit        lines.Phase `json:"admit"`
	Validate     lines.Phase `json:"validate"`
	ValidateOnly lines.Phase `json:"validate_only"`
	// Pod is left out where the request is refused.
	Pod        any      `json:"pod,omitempty"`
	Violations []string `json:"violations"`
}

// record writes the answers to each request, in the order of the plugin's file.
// Every request must have reached admission.
func record(out io.Writer, pspFile, gatekeeperFile string) error {
	violations, err := lines.ByID(gatekeeperFile, func(line []byte) (string, []string, error) {
		it, err := lines.Decode[lines.GatekeeperAnswer](line)
		if err == nil && it.Error != "" {
			err = fmt.Errorf("%s: %s", it.ID, it.Error)
		}
		messages := []string{}
		for _, violation := range it.Violations {
			messages = append(messages, violation.Message)
		}
		return it.ID, messages, err
	})
	if err != nil {
		return err
	}
	return lines.File(pspFile, func(line []byte) error {
		it, err := lines.Decode[lines.PSPAnswer](line)
		if err != nil {
			return err
		}
		if it.Error != "" {
			return fmt.Errorf("%s: %s", it.ID, it.Error)
		}
		kept := engines{ID: it.ID, Admit: it.Admit, Validate: it.Validate, ValidateOnly: it.ValidateOnly}
		var asked bool
		if kept.Violations, asked = violations[it.ID]; !asked {
			return fmt.Errorf("%s: Gatekeeper was not asked", it.ID)
		}
		if it.Admit.Allowed && it.Validate.Allowed {
			if kept.Pod, err = storedJSON(it.Pod); err != nil {
				return err
			}
		}
		raw, err := lines.Marshal(kept)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s\n", raw)
		return err
	})
}
