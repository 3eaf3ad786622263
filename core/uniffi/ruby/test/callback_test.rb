# frozen_string_literal: true

require_relative "support"

# The callback law: whatever a miner does, each task ends once, and nothing of a miner runs after it was removed.
class CallbackTest < Minitest::Test
  include CortensorRouter
  include Support

  def test_a_miner_that_raises_fails_its_task
    Router.open({ dispatch: { max_attempts: 1 } }) do |router|
      router.miner("raises", models: ["raises"]) { |_| raise "out of cheese" }
      router.miner("coded", models: ["coded"]) { |_| raise JobError.new("invalid", "not this prompt") }
      router.miner("wrong", models: ["wrong"]) { |_| 5 }
      router.miner("silent", models: ["silent"]) { |_| nil }
      router.miner("unknown", models: ["unknown"]) { |_| raise JobError.new("no-such-code", "words") }
      error = assert_raises(MinerFailedError) { router.complete("x", model: "raises") }
      assert_includes error.message, "RuntimeError: out of cheese"
      assert_raises(InvalidArgumentError) { router.complete("x", model: "coded") }
      assert_includes assert_raises(MinerFailedError) { router.complete("x", model: "wrong") }.message, "not Integer"
      silent = assert_raises(MinerFailedError) { router.complete("x", model: "silent") }
      assert_includes silent.message, "returned nothing"
      assert_includes assert_raises(MinerFailedError) { router.complete("x", model: "unknown") }.message, "words"
    end
  end

  def test_a_miner_that_never_answers_loses_its_task
    Router.open({ dispatch: { progress_timeout_ms: 200, max_attempts: 1 } }) do |router|
      kept = []
      router.miner("never", manual: true) { |job| kept << job }
      assert_raises(RouterError) { router.complete("x", timeout: 2) }
      job = kept.first
      assert_predicate job, :cancelled?
      # A late answer changes nothing.
      refute job.emit("late")
      job.finish("late")
      assert_raises(ClosedError) { job.finish("twice") }
    end
  end

  def test_a_job_is_answered_later_from_any_thread_and_once
    jobs = Thread::Queue.new
    Router.open do |router|
      router.miner("later", capacity: 8, manual: true) { |job| jobs << job }
      tasks = Array.new(8) { |index| router.submit(index.to_s) }
      answered = Array.new(8) { jobs.pop }.map do |job|
        Thread.new { job.emit("got ") && job.finish(usage: { completion_tokens: 1 }) && job }
      end
      answered.each(&:join)
      assert_equal ["got "] * 8, tasks.map(&:text)
    end
  end

  def test_whoever_waits_for_a_cancellation_hears_of_the_answer
    jobs = Thread::Queue.new
    Router.open do |router|
      router.miner("held", manual: true) { |job| jobs << job }
      task = router.submit("x")
      job = jobs.pop
      waiting = Thread.new { job.wait_cancelled }
      told = Thread::Queue.new
      job.on_cancel { told << true }
      job.finish("x")
      refute Timeout.timeout(SOON) { waiting.value }
      refute Timeout.timeout(SOON) { job.wait_cancelled }
      assert_equal "x", task.text
      until_true("the end of the handler") { handlers.size == 1 }
      assert_empty told
    end
    until_true("the end of the miner's handler") { handlers.empty? }
  end

  def test_a_handler_that_raises_ends_neither_the_others_nor_its_job
    Router.open({ dispatch: { max_attempts: 1 } }) do |router|
      router.miner("echo", models: ["echo"]) { |job| job.prompt }
      token = router.miner("broken", models: ["broken"]) { |_| "never" }.instance_variable_get(:@token)
      handlers[token] = ->(_) { raise ThreadError, "no more threads" }
      Timeout.timeout(SOON) do
        assert_includes assert_raises(MinerFailedError) { router.complete("x", model: "broken") }.message, "dropped"
        assert_equal "again", router.complete("again", model: "echo").text
      end
    end
  end

  def test_a_job_that_is_let_go_counts_as_dropped
    Router.open({ dispatch: { max_attempts: 1 } }) do |router|
      router.miner("drops", manual: true, &:release)
      assert_includes assert_raises(MinerFailedError) { router.complete("x") }.message, "dropped"
    end
  end

  def test_a_router_is_closed_from_inside_of_a_miner
    closed = Thread::Queue.new
    router = Router.open
    router.miner("closes") do |job|
      router.close
      closed << :closed
      "late"
    end
    assert_raises(RouterError) { router.complete("x") }
    assert_equal :closed, closed.pop
    refute_predicate router, :open?
  end

  def test_a_miner_is_removed_from_inside_of_itself
    Router.open do |router|
      miner = nil
      miner = router.miner("leaves", models: ["a"]) { |job| miner.remove && job.finish("bye") }
      router.miner("stays", models: ["a"]) { |_| "here" }
      assert_includes %w[bye here], router.complete("x", model: "a").text
      until_true("the end of the miner") { router.miners.map(&:id).grep(/leaves/).empty? }
    end
  end

  def test_nothing_of_a_miner_runs_after_it_was_removed
    Router.open do |router|
      running = 0
      miner = router.miner("works", capacity: 4) do |job|
        running += 1
        job.wait_cancelled
      ensure
        running -= 1
      end
      tasks = Array.new(4) { router.submit("x") }
      until_true("four jobs") { running == 4 }
      miner.remove
      assert_equal 0, running
      tasks.each(&:cancel)
    end
  end

  def test_a_block_that_does_not_stop_is_told
    Router.open do |router|
      go_on = Thread::Queue.new
      miner = router.miner("stubborn") { |_| go_on.pop }
      task = router.submit("x")
      until_true("the job") { go_on.num_waiting == 1 }
      assert_equal "miner_busy", assert_raises(RouterTimeoutError) { miner.remove(timeout: 0.05) }.code
      go_on << "done"
      task.cancel
    end
  end

  def test_a_cancelled_task_reaches_the_miner
    Router.open do |router|
      told = Thread::Queue.new
      router.miner("streams", models: ["a"]) do |job|
        loop { job << "x" }
      ensure
        told << :streams
      end
      router.miner("held", models: ["b"], manual: true) { |job| job.on_cancel { told << :held } }
      router.submit("x", model: "a").first(3)
      assert_equal :streams, told.pop
      task = router.submit("x", model: "b")
      until_true("the job") { task.record.state == "acked" }
      task.cancel
      assert_equal :held, told.pop
    end
  end

  def test_a_timeout_around_a_call_cancels_its_task
    Router.open do |router|
      told = Thread::Queue.new
      router.miner("held") { |job| told << job.wait_cancelled }
      assert_raises(Timeout::Error) { Timeout.timeout(0.2) { router.complete("x") } }
      assert told.pop
    end
  end

  private

  # The handlers of messages that come again and again.
  def handlers = CortensorRouter.const_get(:Bridge).current.instance_variable_get(:@handlers)
end
