# frozen_string_literal: true

require_relative "support"

# Many tasks at once, and many tokens.
class ScaleTest < Minitest::Test
  include CortensorRouter
  include Support

  TASKS = 10_000
  TOKENS = 1_000_000

  def test_ten_thousand_tasks_at_once
    Router.open(PATIENT) do |router|
      jobs = Thread::Queue.new
      router.miner("meet", capacity: TASKS, manual: true) { |job| jobs << job }
      tasks = Array.new(TASKS) { |index| router.submit(index.to_s) }
      # All of them run before the first is answered.
      held = Array.new(TASKS) { jobs.pop }
      held.each { |job| job.finish(job.prompt) }
      tasks.each_with_index { |task, index| assert_equal index.to_s, task.text }
    end
  end

  def test_a_million_tokens_in_flat_memory
    skip "reads /proc" unless File.readable?("/proc/self/statm")
    Router.open(PATIENT) do |router|
      router.miner("flood") do |job|
        pieces = ["token "] * 500
        (TOKENS / 500).times { job.emit_each(pieces) }
      end
      count = grown = 0
      base = nil
      router.submit("go").each do
        count += 1
        next unless (count % 50_000).zero?

        base ||= resident
        grown = [grown, resident - base].max
      end
      assert_equal TOKENS, count
      # The text and its numbers are kept, for readers that come later; nothing else is.
      assert_operator grown, :<, 40 * TOKENS
    end
  end
end
