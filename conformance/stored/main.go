// Command stored asks the PodSecurityPolicy plugin about the pods that Gatekeeper admits, as they are stored.
//
// Whatever mutators write, a pod must not be stored that no policy accepts which its account or its requester may use.
// Each is put to the plugin's Validate phase as it would be stored, and, where a container that is not privileged names
// no AppArmor profile, with runtime/default, which container runtimes use for such a container.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"conformance/apparmor"
	"conformance/lines"
)

const usage = `usage: stored questions --requests FILE --gatekeeper FILE > questions
                                               what to ask ` + "`psp review`" + ` about the pods that are stored, from requests
                                               and the answers of ` + "`gatekeeper run`" + ` to them
       stored check --gatekeeper FILE --psp FILE
                                               whether some policy accepts each of them, by the answers to the questions
`

// withDefault is the end of the id of a question about a pod with profiles that it lacks.
const withDefault = " with " + apparmor.RuntimeDefault

func main() {
	ok, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stored:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (bool, error) {
	if len(args) == 0 {
		return false, fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	requests := flags.String("requests", "", "the requests, as `gatekeeper run` got them")
	gatekeeper := flags.String("gatekeeper", "", "answers of `gatekeeper run`")
	psp := flags.String("psp", "", "answers of `psp review` to the questions")
	share := flags.Int("min-share", 0, "percentage of the requests whose pod must be stored and accepted by a policy")
	mutated := flags.Int("min-mutated", 0, "percentage of the stored pods that mutators must have changed")
	examples := flags.Int("examples", 3, "how many pods that no policy accepts to print")
	if err := flags.Parse(args[1:]); err != nil {
		return false, err
	}
	writer := bufio.NewWriter(out)
	defer writer.Flush()
	switch args[0] {
	case "questions":
		return true, questions(writer, *requests, *gatekeeper)
	case "check":
		found, err := check(*gatekeeper, *psp)
		if err != nil {
			return false, err
		}
		return found.report(writer, *share, *mutated, *examples), nil
	}
	return false, fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

// isStored is whether the pod of a request ends up in the cluster, or stays there.
func isStored(answer lines.GatekeeperAnswer) bool {
	return answer.Allowed && answer.Error == "" && len(answer.APIErrors) == 0
}

func questions(out io.Writer, requestsFile, gatekeeperFile string) error {
	answers, err := lines.ByID(gatekeeperFile, func(line []byte) (string, *lines.GatekeeperAnswer, error) {
		it, err := lines.Decode[lines.GatekeeperAnswer](line)
		if err != nil || !isStored(it) {
			return it.ID, nil, err
		}
		return it.ID, &it, nil
	})
	if err != nil {
		return err
	}
	return lines.File(requestsFile, func(line []byte) error {
		request, err := lines.Parse(line)
		if err != nil {
			return err
		}
		answer, asked := answers[request.ID]
		if !asked {
			return fmt.Errorf("%s: Gatekeeper was not asked", request.ID)
		}
		if answer == nil {
			return nil
		}
		request.Object = answer.Object
		if err := writeLine(out, request); err != nil {
			return err
		}
		return writeDefaults(out, request)
	})
}

// writeDefaults asks about the pod with the profiles that it lacks, if it lacks any.
// The old pod of an UPDATE gets them too, so that they are no change.
func writeDefaults(out io.Writer, request *lines.Request) error {
	lacks := false
	for _, raw := range []*json.RawMessage{&request.Object, &request.OldObject} {
		if len(*raw) == 0 {
			continue
		}
		pod, err := lines.Decode[map[string]any](*raw)
		if err != nil {
			return err
		}
		if apparmor.Write(pod, apparmor.RuntimeDefault) && raw == &request.Object {
			lacks = true
		}
		if *raw, err = lines.Marshal(pod); err != nil {
			return err
		}
	}
	if !lacks {
		return nil
	}
	request.ID += withDefault
	return writeLine(out, request)
}

func writeLine(out io.Writer, value any) error {
	line, err := lines.Marshal(value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", line)
	return err
}
