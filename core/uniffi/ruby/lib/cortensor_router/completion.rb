# frozen_string_literal: true

module CortensorRouter
  # A finished task's answer.
  class Completion < Record
    # The answer's text.
    def text = choice["text"] || ""

    # The calls of tools, as in OpenAI's API; empty if there is none.
    def tool_calls = message["tool_calls"] || []

    # The model's reasoning before its answer, if it is known.
    def reasoning = message["reasoning_content"] || ""

    def to_s = text

    private

    def choice = @fields["choices"]&.first || {}

    def message = choice["message"] || {}
  end

  # Vectors of texts, in the order of the texts.
  class Embeddings < Record
    # The numbers alone.
    def vectors = @fields["data"].map { |one| one["embedding"] }
  end

  # A piece of the text. +seq+ is its number, one more than that of the event before it.
  Token = Struct.new(:seq, :text)

  # All pieces before this one are void: another miner or a later start begins anew.
  Restart = Struct.new(:seq)

  # The end, exactly one and last, with the whole answer.
  End = Struct.new(:completion)
end
