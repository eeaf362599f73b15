package main

import (
	"fmt"
	"io"
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
	psp, err := lines.ByID(pspFile, func(line []byte) (string, answer, error) { return parsePSP(line, asItStands) })
	if err != nil {
		return false, err
	}
	gatekeeper, err := lines.ByID(gatekeeperFile, parseGatekeeper)
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

func parsePSP(line []byte, asItStands map[string]bool) (string, answer, error) {
	it, err := lines.Decode[lines.PSPAnswer](line)
	if err != nil {
		return "", answer{}, err
	}
	if asItStands[it.ID] {
		return it.ID, answer{it.ValidateOnly.Allowed, it.ValidateOnly.Policy, it.ValidateOnly.Message, it.Error}, nil
	}
	message := strings.Join(append([]string{it.Admit.Message, it.Validate.Message}, it.APIErrors...), " ")
	return it.ID, answer{it.Allowed, it.Validate.Policy, message, it.Error}, nil
}

func parseGatekeeper(line []byte) (string, answer, error) {
	it, err := lines.Decode[lines.GatekeeperAnswer](line)
	if err != nil {
		return "", answer{}, err
	}
	messages := append([]string{}, it.APIErrors...)
	for _, violation := range it.Violations {
		messages = append(messages, violation.Message)
	}
	return it.ID, answer{len(messages) == 0, "", strings.Join(messages, " "), it.Error}, nil
}
