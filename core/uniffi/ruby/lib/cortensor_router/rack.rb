# frozen_string_literal: true

module CortensorRouter
  # The REST API as a Rack application, for servers of the program's own: Puma, Falcon, Rails' +mount+ and others.
  class RackApp
    include Native

    def initialize(native, bridge)
      @native = native
      @bridge = bridge
    end

    # Answers a request, as Rack calls it.
    def call(env)
      body = body_of(env)
      return too_large if body.nil?

      answer = @bridge.call(cancels: true) do |token|
        @native.handle(token, env["REQUEST_METHOD"], target_of(env), headers_of(env), env["REMOTE_ADDR"], body)
      end
      headers = Hash.new { |all, name| all[name] = [] }
      answer.headers.each { |line| headers[line.name.downcase] << line.value.dup.force_encoding(Encoding::UTF_8) }
      [answer.status, headers.transform_values { |values| values.join("\n") }, Body.new(answer.response, @bridge)]
    end

    # An answer's body, which a server reads piece by piece.
    class Body
      def initialize(native, bridge)
        @native = native
        @bridge = bridge
      end

      def each
        while (piece = @bridge.call(cancels: true) { |token| @native.next_piece(token) })
          yield piece
        end
      ensure
        close
      end

      # Tells the router that the client has gone, or has read all.
      def close = @native.release
    end
    private_constant :Body

    private

    def body_of(env)
      limit = native { @native.max_body_bytes }
      given = env["CONTENT_LENGTH"].to_i
      return nil if given > limit

      body = env["rack.input"]&.read(limit + 1) || ""
      body.bytesize > limit ? nil : body.b
    end

    def too_large
      error = { error: { message: "the body is over limits.max_request_bytes", type: "invalid_request_error",
                         code: "too_large" } }
      [413, { "content-type" => "application/json" }, [JSON.generate(error)]]
    end

    def target_of(env)
      query = env["QUERY_STRING"].to_s
      path = env["PATH_INFO"].to_s
      path = "/" if path.empty?
      query.empty? ? path : "#{path}?#{query}"
    end

    def headers_of(env)
      lines = env.filter_map do |name, value|
        [name.delete_prefix("HTTP_"), value] if name.start_with?("HTTP_") && name != "HTTP_VERSION"
      end
      %w[CONTENT_TYPE CONTENT_LENGTH].each { |name| lines << [name, env[name]] if env[name].to_s != "" }
      lines.map do |name, value|
        ::CortensorRouterNative::HttpHeader.new(name: name.tr("_", "-").downcase, value: value.to_s.b)
      end
    end
  end
end
