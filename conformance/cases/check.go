package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"conformance/lines"
)

// An answer is what an engine says to a row.
type answer struct {
	admitted bool
	// policy is the one that admits, empty for Gatekeeper.
	policy string
	// message says why the pod is forbidden.
	message string
	// error says why there was no question at all.
	error string
}

// check holds the engines' answers against the rows.
// For Gatekeeper every violation counts, whatever its enforcement action: the action says what is done
// about a violation, not whether there is one.
func check(out io.Writer, rows []row, pspFile, gatekeeperFile string) (bool, error) {
	asItStands := map[string]bool{}
	for _, row := range rows {
		asItStands[row.id] = row.asItStands()
	}
	psp, err := readAnswers(pspFile, func(line []byte) (string, answer, error) { return parsePSP(line, asItStands) })
	if err != nil {
		return false, err
	}
	gatekeeper, err := readAnswers(gatekeeperFile, parseGatekeeper)
	if err != nil {
		return false, err
	}
	wrong := 0
	for _, row := range rows {
		for _, complaint := range row.complaints(psp, gatekeeper) {
			fmt.Fprintf(out, "%s: %s\n", row.id, complaint)
			wrong++
		}
	}
	return wrong == 0, nil
}

func (r row) complaints(psp, gatekeeper map[string]answer) []string {
	var found []string
	ours, asked := psp[r.id]
	theirs, askedToo := gatekeeper[r.id]
	if !asked || !askedToo {
		return []string{"an engine was not asked"}
	}
	if ours.error != "" {
		return []string{"never reaches admission: " + ours.error}
	}
	for _, it := range []struct {
		engine string
		answer answer
	}{{"PodSecurityPolicy", ours}, {"Gatekeeper", theirs}} {
		switch {
		case it.answer.error != "":
			found = append(found, it.engine+" fails: "+it.answer.error)
		case it.answer.admitted && !*r.Admitted:
			found = append(found, strings.TrimSpace(it.engine+" admits it, it is written to be forbidden "+it.answer.policy))
		case !it.answer.admitted && *r.Admitted:
			found = append(found, it.engine+" forbids it, it is written to be admitted: "+it.answer.message)
		}
	}
	if len(found) > 0 {
		return found
	}
	if r.By != "" && ours.policy != r.By {
		found = append(found, fmt.Sprintf("admitted by %q, written is %q", ours.policy, r.By))
	}
	for _, reason := range r.Because {
		if !strings.Contains(ours.message, reason) && !strings.Contains(theirs.message, reason) {
			found = append(found, fmt.Sprintf("no message holds %q\n  PodSecurityPolicy: %s\n  Gatekeeper: %s", reason, ours.message, theirs.message))
		}
	}
	return found
}

func readAnswers(file string, parse func([]byte) (string, answer, error)) (map[string]answer, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	found := map[string]answer{}
	err = lines.Read(opened, func(line []byte) error {
		id, answer, err := parse(line)
		if _, twice := found[id]; twice {
			return fmt.Errorf("%s: answered twice", id)
		}
		found[id] = answer
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return found, nil
}

func parsePSP(line []byte, asItStands map[string]bool) (string, answer, error) {
	type phase struct {
		Allowed bool   `json:"allowed"`
		Policy  string `json:"policy"`
		Message string `json:"message"`
	}
	it := struct {
		ID           string   `json:"id"`
		Error        string   `json:"error"`
		Allowed      bool     `json:"allowed"`
		APIErrors    []string `json:"api_errors"`
		Admit        phase    `json:"admit"`
		Validate     phase    `json:"validate"`
		ValidateOnly phase    `json:"validate_only"`
	}{}
	if err := json.Unmarshal(line, &it); err != nil {
		return "", answer{}, err
	}
	if asItStands[it.ID] {
		return it.ID, answer{it.ValidateOnly.Allowed, it.ValidateOnly.Policy, it.ValidateOnly.Message, it.Error}, nil
	}
	message := strings.Join(append([]string{it.Admit.Message, it.Validate.Message}, it.APIErrors...), " ")
	return it.ID, answer{it.Allowed, it.Validate.Policy, message, it.Error}, nil
}

func parseGatekeeper(line []byte) (string, answer, error) {
	it := struct {
		ID         string   `json:"id"`
		Error      string   `json:"error"`
		APIErrors  []string `json:"api_errors"`
		Violations []struct {
			Message string `json:"message"`
		} `json:"violations"`
	}{}
	if err := json.Unmarshal(line, &it); err != nil {
		return "", answer{}, err
	}
	messages := append([]string{}, it.APIErrors...)
	for _, violation := range it.Violations {
		messages = append(messages, violation.Message)
	}
	return it.ID, answer{len(messages) == 0, "", strings.Join(messages, " "), it.Error}, nil
}
