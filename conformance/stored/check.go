package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"conformance/lines"
)

// A tally is what the plugin says of the pods that are stored.
type tally struct {
	// requests are those that reach admission, stored those whose pod is stored, mutated those of them that a mutator changed.
	requests, stored, mutated int
	// asItStands and withDefault are the pods that the plugin accepts, the latter with the AppArmor profiles that they lack.
	asItStands, withDefault int
	// consulted are the pods accepted by a policy: the plugin consults none about, say, an update of the garbage collector.
	consulted int
	// refused are the pods that no policy accepts, each with the plugin's reason.
	refused []string
}

// check holds the plugin's answers against the pods that are stored; each must have been asked about.
func check(gatekeeperFile, pspFile string) (*tally, error) {
	answers, err := lines.ByID(pspFile, func(line []byte) (string, lines.Phase, error) {
		it, err := lines.Decode[lines.PSPAnswer](line)
		// Of a pod that does not even reach the plugin, that is the reason.
		it.ValidateOnly.Message = cmp.Or(it.ValidateOnly.Message, it.Error)
		return it.ID, it.ValidateOnly, err
	})
	if err != nil {
		return nil, err
	}
	found := &tally{}
	err = lines.File(gatekeeperFile, func(line []byte) error {
		it, err := lines.Decode[lines.GatekeeperAnswer](line)
		if err != nil || it.Error != "" {
			return err
		}
		found.requests++
		if !isStored(it) {
			return nil
		}
		found.stored++
		if it.Mutated {
			found.mutated++
		}
		standing, asked := answers[it.ID]
		if !asked {
			return fmt.Errorf("%s is stored, and the plugin was not asked", it.ID)
		}
		defaulted := answers[it.ID+withDefault]
		switch {
		case standing.Allowed:
			found.asItStands++
		case defaulted.Allowed:
			found.withDefault++
		default:
			found.refused = append(found.refused, it.ID+"\n    "+strings.Join(strings.Fields(cmp.Or(defaulted.Message, standing.Message)), " "))
		}
		if standing.Policy+defaulted.Policy != "" {
			found.consulted++
		}
		return nil
	})
	return found, err
}

// report says whether all is well: some policy accepts every pod, and enough was asked to mean something.
func (t *tally) report(out io.Writer, share, mutated, examples int) bool {
	fmt.Fprintf(out, "requests %d stored %d mutated %d, a policy accepts %d as they stand, %d with runtime/default, NONE ACCEPTS %d\n",
		t.requests, t.stored, t.mutated, t.asItStands, t.withDefault, len(t.refused))
	for _, it := range t.refused[:min(examples, len(t.refused))] {
		fmt.Fprintf(out, "  %s\n", it)
	}
	ok := len(t.refused) == 0
	if share > 0 && (t.consulted*100 < share*t.requests || t.requests == 0) {
		fmt.Fprintf(out, "fewer than %d %% of the requests store a pod that a policy accepts: this proves little\n", share)
		ok = false
	}
	if mutated > 0 && (t.mutated*100 < mutated*t.stored || t.stored == 0) {
		fmt.Fprintf(out, "mutators changed fewer than %d %% of the pods: this proves little\n", mutated)
		ok = false
	}
	return ok
}
