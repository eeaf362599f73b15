// Command gatekeeper asks Gatekeeper 3.23.0.
//
// It links that release's constraint client with the Rego driver, the webhook's target handler and the
// mutation system, and runs them in one process.
// ../README.md has the formats.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"conformance/lines"

	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

const usage = `usage: gatekeeper COMMAND --manifests PATH... [--cluster PATH]... [--crds DIR] < requests > answers

  lint       whether all manifests can be applied; one line per error, exit status 1 if there is any
  mutate     the requests after mutation
  validate   what the constraints decide
  run        mutate, the command of --between, validate
  library    constraints for the policies of the cluster, with their templates, of the gatekeeper-library, which the
             manifests have; to be measured beside
  bench      what the requests cost, in one JSON object; each is put over and over, for --seconds in all
`

func main() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	ctrllog.SetLogger(klog.Background())
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gatekeeper:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	var manifests, cluster paths
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.Var(&manifests, "manifests", "file or folder with what is applied to Gatekeeper; may be repeated")
	flags.Var(&cluster, "cluster", "file or folder with the namespaces of the cluster; may be repeated")
	crds := flags.String("crds", "", "folder with Gatekeeper's CRDs; without it their schemas are not looked at")
	between := flags.String("between", "cat", "shell command for what happens between mutating and validating admission")
	seconds := flags.Float64("seconds", 3, "how long to measure")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if args[0] == "library" {
		return library(manifests, cluster)
	}

	engine, err := newEngine(*crds)
	if err != nil {
		return err
	}
	loading := startStopwatch()
	problems, err := engine.load(manifests, cluster)
	if err != nil {
		return err
	}
	for _, problem := range problems {
		fmt.Println(problem)
	}
	switch {
	case args[0] == "lint" && len(problems) > 0:
		os.Exit(1)
	case args[0] == "lint":
		fmt.Fprintf(os.Stderr, "gatekeeper: %s\n", engine.loaded)
		return nil
	case len(problems) > 0:
		return fmt.Errorf("%d manifests cannot be applied", len(problems))
	}

	switch args[0] {
	case "mutate":
		return lines.Each(os.Stdin, os.Stdout, engine.mutateLine)
	case "validate":
		return lines.Each(os.Stdin, os.Stdout, engine.validateLine)
	case "run":
		return engine.run(*between)
	case "bench":
		return engine.bench(loading, time.Duration(*seconds*float64(time.Second)))
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

// run answers each request with what validate says and the object that it was said of.
func (e *engine) run(between string) error {
	var mutated, stored bytes.Buffer
	if err := lines.Each(os.Stdin, &mutated, e.mutateLine); err != nil {
		return err
	}
	command := exec.Command("sh", "-c", between)
	command.Stdin, command.Stdout, command.Stderr = &mutated, &stored, os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", between, err)
	}
	return lines.Each(&stored, os.Stdout, func(line []byte) (any, error) {
		answer, err := e.validate(line)
		if err != nil {
			return nil, err
		}
		about, err := lines.Decode[struct {
			Object  json.RawMessage `json:"object"`
			Mutated bool            `json:"mutated"`
		}](line)
		answer.Object, answer.Mutated = about.Object, about.Mutated
		return answer, err
	})
}

type paths []string

func (p *paths) String() string { return strings.Join(*p, ",") }

func (p *paths) Set(path string) error {
	*p = append(*p, path)
	return nil
}
