// Renders the templates of a chart with Go's own templates and sprig's functions, as Helm does.
//
//	render CHART_DIRECTORY < VALUES_AS_JSON
//
// The functions that Helm adds itself and the chart uses are here: include and toYaml. JSON is YAML, so that toYaml may
// write JSON.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/Masterminds/sprig"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
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
		"toYaml": func(value interface{}) (string, error) {
			text, err := json.Marshal(value)
			return string(text), err
		},
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
