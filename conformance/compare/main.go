// Command compare puts the answers of the two engines side by side.
//
// It prints one line of counts, and examples of every kind of difference: LOOSER where Gatekeeper admits
// what PodSecurityPolicy forbids, STRICTER the other way. Exit status 1 if there is a difference that
// nobody declared, or if the questions were too one-sided to mean anything.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"conformance/lines"
)

func main() {
	ok, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (bool, error) {
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	psp := flags.String("psp", "", "answers of `psp review`")
	gatekeeper := flags.String("gatekeeper", "", "answers of `gatekeeper validate` or `gatekeeper run`")
	field := flags.String("field", "validate_only", "which verdict of the former: validate_only or allowed")
	declared := flags.String("declared", "", "file of declared differences: DIRECTION PATTERN a line, for the ids")
	share := flags.Int("min-share", 0, "percentage of the requests that must be admitted, and that must be forbidden")
	examples := flags.Int("examples", 3, "how many of each kind to print")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if *field != "validate_only" && *field != "allowed" {
		return false, fmt.Errorf("unknown field %q", *field)
	}
	known, err := readDeclarations(*declared)
	if err != nil {
		return false, err
	}
	comparison, err := join(*psp, *gatekeeper, *field)
	if err != nil {
		return false, err
	}
	return comparison.report(out, known, *share, *examples), nil
}

// An answer is what either engine says of a request.
type answer struct {
	id      string
	allowed bool
	// undecided requests never reach the question: they do not decode, or API validation refuses them.
	undecided bool
	why       string
}

// A difference is a request that the engines decide differently.
type difference struct {
	direction       string
	psp, gatekeeper answer
}

type comparison struct {
	admitted, forbidden, undecided int
	differences                    []difference
}

// join reads both files; they must answer the same requests.
func join(pspFile, gatekeeperFile, field string) (*comparison, error) {
	psp, err := lines.ByID(pspFile, func(line []byte) (string, answer, error) {
		answer, err := parsePSP(line, field)
		return answer.id, answer, err
	})
	if err != nil {
		return nil, err
	}
	res := &comparison{}
	err = lines.File(gatekeeperFile, func(line []byte) error {
		theirs, err := parseGatekeeper(line, field)
		if err != nil {
			return err
		}
		ours, asked := psp[theirs.id]
		if !asked {
			return fmt.Errorf("%s: %s has no answer, or the id comes twice", theirs.id, pspFile)
		}
		delete(psp, theirs.id)
		res.add(ours, theirs)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for id := range psp {
		return nil, fmt.Errorf("%s: %s has no answer", id, gatekeeperFile)
	}
	return res, nil
}

func (c *comparison) add(psp, gatekeeper answer) {
	switch {
	case psp.undecided || gatekeeper.undecided:
		c.undecided++
		return
	case psp.allowed:
		c.admitted++
	default:
		c.forbidden++
	}
	switch {
	case gatekeeper.allowed && !psp.allowed:
		c.differences = append(c.differences, difference{"LOOSER", psp, gatekeeper})
	case psp.allowed && !gatekeeper.allowed:
		c.differences = append(c.differences, difference{"STRICTER", psp, gatekeeper})
	}
}

// report says whether all is well: no undeclared difference, no declaration without a difference,
// enough requests on either side.
func (c *comparison) report(out io.Writer, known []declaration, share, examples int) bool {
	kinds := map[string][]difference{}
	counts := map[string]int{}
	declared := 0
	for _, it := range c.differences {
		if declare(known, it) {
			declared++
			continue
		}
		counts[it.direction]++
		kind := it.direction + " " + it.psp.id[strings.LastIndex(it.psp.id, "/")+1:]
		kinds[kind] = append(kinds[kind], it)
	}
	reviewed := c.admitted + c.forbidden
	fmt.Fprintf(out, "reviewed %d admitted %d forbidden %d undecided %d declared %d LOOSER %d STRICTER %d\n",
		reviewed, c.admitted, c.forbidden, c.undecided, declared, counts["LOOSER"], counts["STRICTER"])
	ok := counts["LOOSER"]+counts["STRICTER"] == 0

	var order []string
	for kind := range kinds {
		order = append(order, kind)
	}
	slices.SortFunc(order, func(a, b string) int {
		if n := len(kinds[b]) - len(kinds[a]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, kind := range order {
		fmt.Fprintf(out, "%s: %d\n", kind, len(kinds[kind]))
		for _, it := range kinds[kind][:min(examples, len(kinds[kind]))] {
			fmt.Fprintf(out, "  %s\n    PSP:        %s\n    Gatekeeper: %s\n", it.psp.id, it.psp.why, it.gatekeeper.why)
		}
	}
	for _, it := range known {
		if !it.used {
			fmt.Fprintf(out, "declared, but there is no such difference: %s %s\n", it.direction, it.pattern)
			ok = false
		}
	}
	if share > 0 && (c.admitted*100 < share*reviewed || c.forbidden*100 < share*reviewed || reviewed == 0) {
		fmt.Fprintf(out, "fewer than %d %% of the requests are admitted, or forbidden: this proves little\n", share)
		ok = false
	}
	return ok
}

// A declaration is a difference that is meant to be there.
type declaration struct {
	direction, pattern string
	used               bool
}

// readDeclarations reads lines of a direction and a pattern for ids, as of path.Match but with `*` for
// slashes too; `#` begins a comment.
func readDeclarations(file string) ([]declaration, error) {
	if file == "" {
		return nil, nil
	}
	var found []declaration
	err := lines.File(file, func(line []byte) error {
		text, _, _ := strings.Cut(string(line), "#")
		words := strings.Fields(text)
		if len(words) == 0 {
			return nil
		}
		if len(words) != 2 || words[0] != "LOOSER" && words[0] != "STRICTER" {
			return fmt.Errorf("%q is not a direction and a pattern", line)
		}
		if _, err := path.Match(words[1], ""); err != nil {
			return err
		}
		found = append(found, declaration{direction: words[0], pattern: words[1]})
		return nil
	})
	return found, err
}

func declare(known []declaration, it difference) bool {
	flat := func(text string) string { return strings.ReplaceAll(text, "/", "\x00") }
	for i := range known {
		if matched, _ := path.Match(flat(known[i].pattern), flat(it.psp.id)); matched && known[i].direction == it.direction {
			known[i].used = true
			return true
		}
	}
	return false
}

func parsePSP(line []byte, field string) (answer, error) {
	it, err := lines.Decode[lines.PSPAnswer](line)
	if err != nil || it.Error != "" {
		return answer{id: it.ID, undecided: true}, err
	}
	if field == "validate_only" {
		return answer{it.ID, it.ValidateOnly.Allowed, false, explain(it.ValidateOnly.Allowed, it.ValidateOnly.Policy+it.ValidateOnly.Message)}, nil
	}
	why := append([]string{it.Admit.Policy, it.Admit.Message, it.Validate.Message}, it.APIErrors...)
	return answer{it.ID, it.Allowed, false, explain(it.Allowed, strings.Join(why, " "))}, nil
}

func parseGatekeeper(line []byte, field string) (answer, error) {
	it, err := lines.Decode[lines.GatekeeperAnswer](line)
	if err != nil {
		return answer{}, err
	}
	why := []string{it.Error}
	for _, violation := range it.Violations {
		why = append(why, violation.Message)
	}
	why = append(why, it.APIErrors...)
	res := answer{it.ID, it.Allowed, false, explain(it.Allowed, strings.Join(why, " "))}
	if len(it.APIErrors) > 0 {
		// What was sent as it stands is nobody's decision then; what was mutated first is refused.
		res.undecided = field == "validate_only"
		res.allowed = false
	}
	return res, nil
}

func explain(allowed bool, why string) string {
	if allowed {
		return "admitted " + strings.Join(strings.Fields(why), " ")
	}
	return "forbidden " + strings.Join(strings.Fields(why), " ")
}
