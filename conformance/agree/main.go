// Command agree holds what `psp2gatekeeper review` says of a request against what the engines say.
//
// The verdict, the policy, the message and the pod of the PodSecurityPolicy plugin, and the verdict, the
// violations and the pod of Gatekeeper: all must be the same, request by request.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"conformance/lines"
)

const usage = `usage: agree reviews < requests > reviews      the requests as AdmissionReviews
       agree check --psp FILE --gatekeeper FILE --review FILE
                                               whether the answers of ` + "`psp review`, `gatekeeper run` and `psp2gatekeeper review`" + `
                                               to the same requests are the same
       agree record --psp FILE --gatekeeper FILE
                                               the answers of ` + "`psp review` and `gatekeeper validate`" + `, as they are kept
`

func main() {
	ok, err := run(os.Args[1:], os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "agree:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(args []string, in io.Reader, out io.Writer) (bool, error) {
	if len(args) == 0 {
		return false, fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	psp := flags.String("psp", "", "answers of `psp review`")
	gatekeeper := flags.String("gatekeeper", "", "answers of `gatekeeper run`")
	review := flags.String("review", "", "answers of `psp2gatekeeper review -o json`")
	examples := flags.Int("examples", 2, "how many differences of each kind to print")
	if err := flags.Parse(args[1:]); err != nil {
		return false, err
	}
	switch args[0] {
	case "reviews":
		writer := bufio.NewWriter(out)
		defer writer.Flush()
		return true, lines.Read(in, func(line []byte) error { return writeReview(writer, line) })
	case "check":
		writer := bufio.NewWriter(out)
		defer writer.Flush()
		return check(writer, *psp, *gatekeeper, *review, *examples)
	case "record":
		writer := bufio.NewWriter(out)
		defer writer.Flush()
		return true, record(writer, *psp, *gatekeeper)
	}
	return false, fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

// writeReview writes a request as an API server sends it to a webhook, unless it never gets that far.
func writeReview(out io.Writer, line []byte) error {
	request, err := lines.Parse(line)
	if err != nil || request.Error != "" {
		return err
	}
	about := map[string]any{
		"uid":       request.ID,
		"kind":      map[string]string{"group": "", "version": "v1", "kind": "Pod"},
		"namespace": request.Namespace,
		"operation": request.Operation,
		"userInfo":  request.User,
		"object":    request.Object,
	}
	if request.Subresource != "" {
		about["subResource"] = request.Subresource
	}
	if len(request.OldObject) > 0 {
		about["oldObject"] = json.RawMessage(request.OldObject)
	}
	review, err := lines.Marshal(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": about})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s\n", review)
	return err
}
