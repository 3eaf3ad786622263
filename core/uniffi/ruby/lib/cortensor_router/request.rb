# frozen_string_literal: true

require "did_you_mean"

module CortensorRouter
  # Requests and other options as JSON, with their names checked. Private.
  module Request
    NAMES = ::CortensorRouterNative.request_options.freeze
    SESSION = ::CortensorRouterNative.session_options.freeze

    module_function

    # A request as JSON.
    def of(prompt, options, stream:)
      fields = { "stream" => stream }.merge(options.transform_keys(&:to_s))
      hint = "what is only for the miner goes into extra: {...}"
      check("request", fields.keys - %w[prompt clientReference], NAMES, hint)
      extra = extra_of(fields.delete("extra"))
      fields.merge!(extra)
      unless prompt.nil?
        unless prompt.is_a?(String)
          message = "prompt is a text, not #{prompt.class}: a chat goes into messages: [...]"
          raise InvalidArgumentError.new(message, param: "prompt")
        end
        fields["prompt"] = prompt
      end
      text("request", fields.compact)
    end

    # A request for vectors as JSON.
    def embedding(texts, options)
      unless texts.is_a?(String) || (texts.is_a?(Array) && texts.all?(String))
        raise InvalidArgumentError.new("input is a text or an array of texts", param: "input")
      end
      of(nil, options.merge(input: texts), stream: false)
    end

    # A session as JSON.
    def session(name, options)
      snake = ->(one) { one.to_s.gsub(/[A-Z]/) { |letter| "_#{letter.downcase}" } }
      # The router also accepts the names that Cortensor published, such as `minNumOfNodes`.
      check("session", options.keys.map(&snake), SESSION, "")
      fields("session", { name: name }.merge(options))
    end

    # The fields that were given; nil means that a field was not given.
    def fields(what, given) = text(what, given.compact)

    # Settings: a hash or JSON text.
    def settings(what, config)
      case config
      when nil then ""
      when Hash then text(what, config)
      when String
        if !config.strip.empty? && !config.lstrip.start_with?("{")
          message = "#{what} is a hash or JSON text, not #{config[0, 40].inspect}: read a file with JSON.parse"
          raise InvalidArgumentError.new(message, param: what)
        end
        config
      else raise InvalidArgumentError.new("#{what} is a hash or JSON text, not #{config.class}", param: what)
      end
    end

    # JSON text. The error for a value that JSON cannot carry names +what+.
    def text(what, record)
      JSON.generate(record)
    rescue JSON::GeneratorError, JSON::NestingError, EncodingError => error
      raise InvalidArgumentError.new("#{what} is no JSON: #{error.message}", param: what)
    end

    # Refuses unknown names: a mistyped name would have no effect, or reach the miner as an unknown field.
    def check(what, given, known, hint)
      unknown = (given.map(&:to_s) - known).min
      return unless unknown

      near = DidYouMean::SpellChecker.new(dictionary: known).correct(unknown).first
      meant = near ? "did you mean #{near}? " : ""
      raise InvalidArgumentError.new("#{unknown} is no option of a #{what}: #{meant}#{hint}".strip, param: unknown)
    end

    def extra_of(extra)
      return {} if extra.nil?
      unless extra.is_a?(Hash)
        raise InvalidArgumentError.new("extra must be a hash with fields for the miner", param: "extra")
      end

      extra = extra.transform_keys(&:to_s)
      known = extra.keys.find { |name| NAMES.include?(name) }
      return extra unless known

      raise InvalidArgumentError.new("extra: #{known} is an option of a request: give it beside extra", param: "extra")
    end
  end
  private_constant :Request
end
