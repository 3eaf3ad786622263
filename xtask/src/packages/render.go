// Renders the templates of a chart with Go's own templates and sprig's functions, as Helm does.
//
//	render CHART_DIRECTORY < VALUES_AS_JSON
//
// The functions that Helm adds itself and the chart uses are here: include and toYaml.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// toYaml writes the entries of a map or of a list in lines of their own. Values below them may be JSON, which is YAML.
func toYaml(value interface{}) (string, error) {
	var lines []string
	add := func(start string, value interface{}) error {
		text, err := json.Marshal(value)
		lines = append(lines, start+string(text))
		return err
	}
	switch value := value.(type) {
	case map[string]interface{}:
		for key, entry := range value {
			if err := add(key+": ", entry); err != nil {
				return "", err
			}
		}
		sort.Strings(lines)
	case []interface{}:
		for _, entry := range value {
			if err := add("- ", entry); err != nil {
				return "", err
			}
		}
	default:
		return "", fmt.Errorf("toYaml: neither a map nor a list: %v", value)
	}
	return strings.Join(lines, "\n"), nil
}

func main() {
	var values map[string]interface{}
	check(json.NewDecoder(os.Stdin).Decode(&values))
	all := template.New("chart").Option("missingkey=error")
	all.Funcs(sprig.TxtFuncMap()).Funcs(template.FuncMap{
		"include": func(name string, data interface{}) (string, error) {
			var text bytes.Buffer
			err := all.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
		"toYaml": toYaml,
	})
	files, err := filepath.Glob(filepath.Join(os.Args[1], "templates", "*"))
	check(err)
	_, err = all.ParseFiles(files...)
	check(err)
	for _, file := range files {
		if name := filepath.Base(file); name != "_names.tpl" {
			fmt.Printf("---\n# file: %s\n", name)
			check(all.ExecuteTemplate(os.Stdout, name, values))
		}
	}
}
