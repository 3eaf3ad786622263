package cortensor

import (
	"encoding/json"
)

// Completion is the end of a task: the record of the REST API with its parts at hand.
type Completion struct {
	CompletionRecord
}

// first is the first choice, or an empty one.
func (c *Completion) first() Choice {
	if len(c.Choices) == 0 {
		return Choice{}
	}
	return c.Choices[0]
}

// Text is the text of the answer.
func (c *Completion) Text() string {
	return c.first().Text
}

// ToolCalls are the tools that the answer calls.
func (c *Completion) ToolCalls() []ToolCall {
	return c.first().Message.ToolCalls
}

// Reasoning is the model's reasoning before its answer, if it is known.
func (c *Completion) Reasoning() string {
	return c.first().Message.ReasoningContent
}

// Message is an answer as a message.
type Message struct {
	// Role is "assistant".
	Role string `json:"role"`
	// Content is the text.
	Content string `json:"content"`
	// ReasoningContent is the model's reasoning before its answer, if it is known.
	ReasoningContent string `json:"reasoning_content,omitempty"`
	// ToolCalls are the tools that the answer calls.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
}

// ToolCall is a call of a tool, as in OpenAI's API.
type ToolCall struct {
	// ID is the id of the call.
	ID string `json:"id"`
	// Type is "function".
	Type string `json:"type"`
	// Function is the function and its arguments.
	Function struct {
		// Name is the name of the function.
		Name string `json:"name"`
		// Arguments are JSON text.
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// EmbeddingCounts are the tokens of the texts of an embedding.
type EmbeddingCounts struct {
	// PromptTokens are the tokens of the texts.
	PromptTokens int64 `json:"prompt_tokens"`
	// TotalTokens are the same number.
	TotalTokens int64 `json:"total_tokens"`
}

// Embeddings are the vectors of texts, as `POST /v1/embeddings` gives them.
type Embeddings struct {
	EmbeddingsRecord
}

// Vectors are the numbers alone, in the order of the texts.
func (e *Embeddings) Vectors() [][]float64 {
	vectors := make([][]float64, len(e.Data))
	for i, one := range e.Data {
		vectors[i] = one.Embedding
	}
	return vectors
}

// Ptr makes a pointer to an option's value: MaxTokens: cortensor.Ptr[int64](64).
func Ptr[T any](value T) *T {
	return &value
}

// MarshalJSON puts the members of Extra beside the others.
func (r Request) MarshalJSON() ([]byte, error) {
	type plain Request
	return withExtra(plain(r), r.Extra)
}

// withExtra is a value as a JSON object, with further members for the miner.
func withExtra(value any, extra map[string]any) ([]byte, error) {
	text, err := json.Marshal(value)
	if err != nil || len(extra) == 0 {
		return text, err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	for name, member := range extra {
		if _, ok := members[name]; ok {
			return nil, invalid("extra", name+" is a field of its own: take it out of Extra")
		}
		if members[name], err = json.Marshal(member); err != nil {
			return nil, err
		}
	}
	return json.Marshal(members)
}
