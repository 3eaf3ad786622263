# frozen_string_literal: true

require_relative "support"

# The facade: errors, options, tokens, sessions.
class RouterTest < Minitest::Test
  include CortensorRouter
  include Support

  def test_a_session_streams_and_gives_usage
    Router.open do |router|
      router.miner("local", models: ["tiny"], capacity: 4) { |job| job.prompt.split.map { |word| "#{word} " } }
      session = router.create_session("chat", model: "tiny")
      task = session.submit("Hello there", max_tokens: 64)
      assert_equal ["Hello ", "there "], task.to_a
      assert_operator task.result.usage.completion_tokens, :>, 0
      assert_equal "Hello there ", task.text
      assert_equal "Hello there ", session.complete("Hello there").text
      assert_equal "chat", router.session(session.id).name
      assert_equal 2, session.tasks.count
      assert_equal "ended", session.task(task.id).state
    end
  end

  def test_the_version_is_the_librarys
    assert_equal VERSION, CortensorRouterNative.version
  end

  def test_every_form_of_an_answer
    Router.open do |router|
      forms = {
        "text" => ->(_) { "abc" },
        "array" => ->(_) { %w[a b c] },
        "enumerator" => ->(_) { Enumerator.new { |pieces| %w[a b c].each { |piece| pieces << piece } } },
        "lazy" => ->(_) { %w[a b c].lazy.map(&:itself) },
        "pieces" => ->(job) { %w[a b c].each { |piece| job << piece } },
        "chained" => ->(job) { job << "a" << "b" << "c" },
        "bytes" => ->(job) { job << "a".b << "b" << "c" },
        "hash" => ->(_) { { text: "abc", usage: { completion_tokens: 3 } } },
        "finish" => ->(job) { job.finish("abc") },
        "emit" => ->(job) { %w[a b c].each { |piece| job.emit(piece) } },
        "emit_each" => ->(job) { job.emit_each(%w[a b c]) }
      }
      forms.each { |name, block| router.miner(name, models: [name], &block) }
      forms.each_key { |name| assert_equal "abc", router.complete("x", model: name).text, name }
      router.miner("parts", models: ["parts"]) do |job|
        job << { reasoning: "hm" } << { tool_calls: [{ function: { name: "f", arguments: { a: 1 } } }] }
      end
      answer = router.complete("x", model: "parts")
      assert_equal "hm", answer.reasoning
      assert_equal "f", answer.tool_calls.first["function"]["name"]
      router.miner("vectors", models: ["vectors"], embeddings: true) { |_| { embedding: [[1.0], [2.0]] } }
      assert_equal [[1.0], [2.0]], router.embed(%w[a b], model: "vectors").vectors
    end
  end

  def test_mistakes_are_named
    Router.open do |router|
      router.miner("echo") { |job| "#{job.prompt} #{job.request["grammar"]}" }
      error = assert_raises(InvalidArgumentError) { router.complete("hello", max_token: 64) }
      assert_equal "max_token", error.param
      assert_includes error.message, "did you mean max_tokens?"
      assert_kind_of RouterError, error
      refute_predicate error, :retryable?
      assert_equal "hello json", router.complete("hello", extra: { grammar: "json" }).text
      assert_equal "messages", assert_raises(InvalidArgumentError) { router.complete(messages: "hello") }.param
      assert_equal "prompt", assert_raises(InvalidArgumentError) { router.complete([{ role: "user" }]) }.param
      assert_equal "extra", assert_raises(InvalidArgumentError) { router.complete("x", extra: { top_p: 1 }) }.param
      assert_equal "request", assert_raises(InvalidArgumentError) { router.complete("x", seed: Float::NAN) }.param
      assert_raises(InvalidArgumentError) { router.complete("\xff") }
      assert_raises(InvalidArgumentError) { router.drain(-1) }
      assert_raises(NotFoundError) { router.session(77) }
      assert_raises(NotFoundError) { router.task(0, 999) }
      assert_raises(ConflictError) { router.miner("echo") { |_| "" } }
      assert_raises(ArgumentError) { router.miner("none") }
      assert_raises(InvalidArgumentError) { router.miner("x", capacty: 1) { |_| "" } }
      assert_raises(TypeError) { router.session("x") }
    end
    assert_raises(InvalidArgumentError) { Router.open({ listen: { prot: 1 } }) }
    assert_raises(InvalidArgumentError) { Router.open("a file") }
    closed = Router.open
    closed.close
    closed.close
    assert_equal "closed", assert_raises(ClosedError) { closed.complete("x") }.kind
    refute_predicate closed, :open?
  end

  def test_leaving_the_loop_cancels_and_tokens_do_not
    Router.open do |router|
      router.miner("count", capacity: 4) do |job|
        (1..).each { |number| job << "#{number} " }
      end
      task = router.submit("go")
      task.each { |token| break if token == "3 " }
      assert_raises(TaskCancelledError) { task.result(timeout: SOON) }
      task = router.submit("go")
      task.tokens { |token| break if token == "3 " }
      assert_equal "acked", task.record.state
      assert_equal %w[1 2], task.tokens.first(2).map(&:strip)
      assert_raises(RouterTimeoutError) { task.result(timeout: 0.01) }
      task.cancel
      task = router.submit("go", detach: true)
      task.first(2)
      assert_equal "acked", task.record.state
      task.cancel
    end
  end

  def test_a_task_whose_tokens_were_restarted_goes_on
    Router.open do |router|
      gate = Queue.new
      router.miner("one") do |job|
        job << "void"
        gate.pop
      end
      task = router.submit("x", on_failure: "restart")
      error = assert_raises(MinerFailedError) do
        task.each do |text|
          assert_equal "void", text
          router.miner("two") do |job|
            job << "well"
            gate.pop
            nil
          end
          router.remove_miner("one")
        end
      end
      assert_equal "stream_restarted", error.code
      2.times { gate << true }
      assert_equal "well", task.text
    end
  end

  def test_an_enumerator_reads_by_hand
    Router.open do |router|
      router.miner("words") { |job| job.prompt.split }
      tokens = router.submit("a b").each
      assert_equal %w[a b], [tokens.next, tokens.next]
      assert_raises(StopIteration) { tokens.next }
      events = router.submit("a").events.to_a
      assert_equal [Token, End], events.map(&:class)
      assert_equal 1, events.first.seq
    end
  end

  def test_keys_usage_and_the_listener
    Router.open do |router|
      router.miner("echo", models: ["echo"]) { |job| job.prompt }
      key = router.create_key("app")
      assert_equal ["app"], router.keys.map(&:name)
      router.listen(port: 0) do |listener|
        uri = URI("#{listener.url}/v1/chat/completions")
        body = JSON.generate(model: "echo", messages: [{ role: "user", content: "hi" }])
        headers = { "authorization" => "Bearer #{key.token}", "content-type" => "application/json" }
        answer = Net::HTTP.post(uri, body, headers)
        assert_equal "200", answer.code, answer.body
        assert_includes JSON.parse(answer.body).dig("choices", 0, "message", "content"), "hi"
        refute_empty listener.posture
      end
      assert_kind_of Page, router.usage(by: "model")
      router.delete_key(key.id)
      assert_empty router.keys
      assert_includes router.metrics, "# TYPE"
      assert_equal "memory", router.status.store
    end
  end

  def test_rack
    Router.open do |router|
      router.miner("echo", models: ["echo"]) { |job| job.prompt.split }
      app = router.rack
      env = { "REQUEST_METHOD" => "POST", "PATH_INFO" => "/api/v1/completions", "QUERY_STRING" => "",
              "HTTP_AUTHORIZATION" => "Bearer default-dev-token", "CONTENT_TYPE" => "application/json",
              "HTTP_HOST" => "localhost", "REMOTE_ADDR" => "127.0.0.1",
              "rack.input" => StringIO.new(JSON.generate(prompt: "hi", stream: true)) }
      status, headers, body = app.call(env)
      text = +""
      body.each { |piece| text << piece }
      assert_equal 200, status, text
      assert_match "text/event-stream", headers["content-type"]
      assert_includes text, "[DONE]"
      status, _, body = app.call(env.merge("CONTENT_LENGTH" => (1 << 40).to_s))
      assert_equal 413, status
      assert_includes body.to_a.join, "too_large"
      status, = app.call({ "REQUEST_METHOD" => "GET", "PATH_INFO" => "/api/v1/nothing", "REMOTE_ADDR" => "127.0.0.1" })
      assert_includes [401, 404], status
    end
  end

  def test_the_log_goes_to_a_logger
    output = StringIO.new
    Router.open({ runtime: { log_level: "debug" } }, logger: Logger.new(output)) do |router|
      router.miner("echo") { |job| job.prompt }
      router.complete("x")
    end
    assert_match(/cortensor_router/, output.string)
  end

  def test_a_miner_dials_in
    Router.open do |router|
      listener = router.listen(port: 0)
      key = router.create_key("gpu", scopes: ["miner"])
      url = listener.url.sub("http", "ws")
      client = MinerClient.open(url, name: "gpu-1", token: key.token, models: ["far"]) do |job|
        job.prompt.upcase
      end
      until_true("the connection") { client.stats.connected }
      assert_equal "HELLO", router.complete("hello", model: "far").text
      assert client.drain(SOON)
      client.close
    end
  end
end
