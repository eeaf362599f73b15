// Command generate writes random clusters with PodSecurityPolicies, and admission requests that tell a
// correct translation of one from a slightly wrong one.
//
// The same seed gives the same cluster and the same requests.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"

	"conformance/lines"

	"sigs.k8s.io/yaml"
)

const usage = `usage: generate cluster  --seed N
       generate requests --seed N [--count M]

  cluster    YAML of a cluster that an API server would accept
  requests   JSON lines, as clients would send them, for the cluster of that seed
`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(2)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "which of the clusters")
	count := flags.Int("count", 500, "how many requests")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	writer := bufio.NewWriter(out)
	cluster := newCluster(*seed)
	switch args[0] {
	case "cluster":
		for _, object := range cluster.objects() {
			text, err := yaml.Marshal(object)
			if err != nil {
				return err
			}
			fmt.Fprintf(writer, "---\n%s", text)
		}
	case "requests":
		for _, request := range cluster.requests(*count) {
			line, err := lines.Marshal(request)
			if err != nil {
				return err
			}
			fmt.Fprintf(writer, "%s\n", line)
		}
	default:
		return fmt.Errorf("unknown command %q\n%s", args[0], usage)
	}
	return writer.Flush()
}
