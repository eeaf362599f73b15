// Command cases puts the written questions of a golden case to the engines.
//
// A case is a folder with case.yaml, input/, pods/ and verdicts.yaml; ../README.md has the format.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"conformance/lines"
)

const usage = `usage: cases arguments DIR                   what to call psp2gatekeeper with, in DIR; one a line
       cases requests DIR [--whole]          the questions as JSON lines: those about the Validate phase
                                             alone, or those about the whole admission
       cases check DIR --psp FILE --gatekeeper FILE
                                             whether both engines answer as it is written
`

func main() {
	ok, err := run(os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cases:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) (bool, error) {
	if len(args) < 2 {
		return false, fmt.Errorf("%s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	whole := flags.Bool("whole", false, "the questions about the whole admission")
	psp := flags.String("psp", "", "answers of `psp review`")
	gatekeeper := flags.String("gatekeeper", "", "answers of `gatekeeper validate` or `gatekeeper run`")
	if err := flags.Parse(args[2:]); err != nil {
		return false, err
	}
	writer := bufio.NewWriter(out)
	defer writer.Flush()
	folder := strings.TrimSuffix(args[1], "/")
	if args[0] == "arguments" {
		arguments, err := migrateArguments(folder)
		for _, argument := range arguments {
			fmt.Fprintln(writer, argument)
		}
		return err == nil, err
	}

	rows, err := readRows(folder)
	if err != nil {
		return false, err
	}
	switch args[0] {
	case "requests":
		for _, row := range rows {
			if row.asItStands() == *whole {
				continue
			}
			request, err := row.request()
			if err != nil {
				return false, fmt.Errorf("%s: %w", row.id, err)
			}
			line, err := lines.Marshal(request)
			if err != nil {
				return false, err
			}
			fmt.Fprintf(writer, "%s\n", line)
		}
		return true, nil
	case "check":
		return check(writer, rows, *psp, *gatekeeper)
	}
	return false, fmt.Errorf("unknown command %q\n%s", args[0], usage)
}
