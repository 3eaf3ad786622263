# frozen_string_literal: true

require_relative "support"

# The ends of programs, forks, garbage, fibers.
class ProcessTest < Minitest::Test
  include Support

  WAYS = %w[stream logged exit exit! blocked spinning enumerator].freeze
  # How often a program ends in mid-stream, in CI too, where the variable does not say otherwise.
  ROUNDS = Integer(ENV.fetch("CORTENSOR_RUBY_EXIT_RUNS", "14"))

  def test_a_program_may_end_in_the_middle_of_everything
    ROUNDS.times.each_slice(2) do |some|
      some.map { |round| Thread.new { program("exit_in_mid_stream", WAYS[round % WAYS.size]) + [round] } }.each do |run|
        text, status, round = run.value
        assert_predicate status, :success?, "#{WAYS[round % WAYS.size]}: #{status.inspect} #{text}"
        assert_empty text
      end
    end
  end

  def test_objects_are_let_go_in_every_order
    text, status = program("garbage")
    assert_predicate status, :success?, text
    assert_equal "done\n", text
  end

  def test_a_forked_child_opens_a_router_of_its_own
    text, status = program("fork")
    assert_predicate status, :success?, text
    assert_equal "forked\nCHILD\ntrue\nparent\n", text
  end

  def test_a_call_after_the_end_is_refused
    text, status = program("late_call")
    assert_predicate status, :success?, text
    assert_equal "waits\nClosedError\nClosedError\nClosedError\n", text
  end

  def test_fibers_of_a_scheduler_wait_side_by_side
    text, status = program("scheduler")
    assert_predicate status, :success?, text
    assert_equal "101\n101\ntrue\n", text
  end

  def test_the_example_that_serves_ends_with_an_interrupt
    lib = File.expand_path("../lib", __dir__)
    path = File.join(REPOSITORY, "examples/ruby/serve.rb")
    Open3.popen2e(RbConfig.ruby, "-I", lib, "-r", interruptible, path) do |_, output, process|
      url = URI(output.gets[%r{http://\S+}])
      answer = Net::HTTP.get_response(url, { "authorization" => "Bearer default-dev-token" })
      assert_equal "200", answer.code
      Process.kill("INT", process.pid)
      assert_equal "stopping\n", output.read
      assert_predicate process.value, :success?
    end
  end

  def test_an_interrupt_ends_a_call_that_waits
    lib = File.expand_path("../lib", __dir__)
    path = File.join(__dir__, "programs/interrupt.rb")
    Open3.popen2e(RbConfig.ruby, "-I", lib, "-r", interruptible, path) do |_, output, process|
      assert_equal "waits\n", output.gets
      Process.kill("INT", process.pid)
      assert_equal "interrupted, cancelled: true\n", output.read
      assert_predicate process.value, :success?
    end
  end

  private

  def interruptible = File.join(__dir__, "programs/interruptible.rb")
end
