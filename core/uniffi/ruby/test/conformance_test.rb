# frozen_string_literal: true

require_relative "support"

# The scenarios of core/tests/conformance.
class ConformanceTest < Minitest::Test
  include Support

  # The steps and the behaviours that Ruby has, so that a new one cannot be left out unseen.
  STEPS = %w[info status miners models metrics create_session session close_session update_session sessions submit
             submit_prompt attach task cancel tasks record result text embed cancel_task detach release stream add_miner
             remove_miner miner_saw drain shutdown].freeze
  # Steps that Ruby has no call for, and why: none.
  ABSENT = {}.freeze

  SCENARIOS = Dir[File.join(REPOSITORY, "core/tests/conformance/*.json")].sort.flat_map do |file|
    JSON.parse(File.read(file)).map { |scenario| [File.basename(file, ".json"), scenario] }
  end

  SCENARIOS.each do |file, scenario|
    define_method("test_#{file}: #{scenario["name"]}") do
      CortensorRouter::Router.open(scenario["config"]) { |router| Stage.new(router).play(scenario) }
    end
  end

  def test_every_scenario_is_played
    assert_operator SCENARIOS.size, :>=, 40
    used = SCENARIOS.flat_map { |_, scenario| scenario["steps"].map { |step| step["do"] } }.uniq
    assert_empty used - STEPS - ABSENT.keys
    puts "conformance: #{SCENARIOS.size} scenarios, all of #{used.size} kinds of steps"
  end

  def test_a_matcher_finds_what_is_wrong
    assert_nil Matching.mismatch({ "a" => [1, "$text"], "b" => "$absent" }, { "a" => [1.0, "x"], "c" => 0 })
    assert_nil Matching.mismatch({ "a" => { "$contains" => "el" } }, { "a" => "hello" })
    [
      [{ "a" => [1] }, { "a" => [1, 2] }], [{ "a" => "$any" }, {}], [{ "a" => "$number" }, { "a" => "1" }],
      [{ "a" => nil }, { "a" => 0 }], [{ "a" => true }, { "a" => 1 }],
      [{ "a" => { "$contains" => "x" } }, { "a" => "hello" }]
    ].each { |expected, actual| assert Matching.mismatch(expected, actual), [expected, actual].inspect }
  end

  # Compares outcomes with what a scenario expects.
  module Matching
    module_function

    # Where and why +actual+ is not what is expected; nil: it is.
    def mismatch(expected, actual, path = "")
      wrong = "#{path}: expected #{expected.inspect}, got #{actual.inspect}"
      case expected
      when /\A\$(any|number|text|absent)\z/ then kind(expected, actual) ? nil : wrong
      when Hash then object(expected, actual, path, wrong)
      when Array
        return wrong unless actual.is_a?(Array) && actual.size == expected.size

        first(expected.each_with_index.map { |one, index| mismatch(one, actual[index], "#{path}[#{index}]") })
      else expected == actual ? nil : wrong
      end
    end

    def kind(name, actual)
      case name
      when "$any" then !actual.nil?
      when "$number" then actual.is_a?(Numeric)
      when "$text" then actual.is_a?(String) && !actual.empty?
      when "$absent" then actual.nil?
      end
    end

    def object(expected, actual, path, wrong)
      part = expected["$contains"]
      return (actual.is_a?(String) && actual.include?(part) ? nil : wrong) if part
      return wrong unless actual.is_a?(Hash)

      first(expected.map { |name, value| mismatch(value, actual[name], "#{path}.#{name}") })
    end

    def first(found) = found.compact.first
  end

  # A scenario's miner, which counts.
  class Player
    def initialize(behaviour, settings)
      @behaviour = behaviour
      @settings = settings || {}
      @lock = Mutex.new
      @jobs = 0
      @cancelled = 0
    end

    def seen = { "jobs" => @jobs, "cancelled" => @cancelled }

    def call(job)
      number = @lock.synchronize { @jobs += 1 } - 1
      case @behaviour
      when "silent" then nil
      when "reject" then job.reject(@settings["reason"])
      when "drop" then job.release
      when "flaky"
        raise CortensorRouter::JobError.new(@settings["code"], "not this time") if number < @settings["times"]

        words(job)
      when "words" then words(job)
      else play(job)
      end
    end

    private

    # The words, each with the blanks behind it.
    def words(job)
      job.prompt.split(/(?<= )(?! )/).each { |word| job << word }
      job.finish unless job.answered?
    end

    def play(job)
      (@settings["pieces"] || []).each { |piece| job << (piece.is_a?(Hash) ? piece["bytes"].pack("C*") : piece) }
      (@settings["parts"] || []).each { |part| job << part }
      case @behaviour
      when "fail" then raise CortensorRouter::JobError.new(@settings["code"], @settings["message"])
      when "hold" then @lock.synchronize { @cancelled += 1 } if job.wait_cancelled
      when "pieces", "whole", "parts" then job.finish(**(@settings["answer"] || {}).transform_keys(&:to_sym))
      else raise "no such behaviour: #{@behaviour}"
      end
      nil
    end
  end

  # One scenario under way.
  class Stage
    include CortensorRouter

    def initialize(router)
      @router = router
      @kept = {}
      @tasks = {}
      @players = {}
    end

    def play(scenario)
      scenario["miners"].each { |miner| add_miner(miner) }
      scenario["steps"].each_with_index do |step, index|
        wrong = perform(resolved(step))
        raise Minitest::Assertion, "step #{index + 1} #{step}\n    #{wrong}" if wrong
      end
    end

    private

    def add_miner(miner)
      spec = miner["spec"].transform_keys(&:to_sym)
      player = Player.new(miner["behaviour"], miner["with"])
      @router.miner(spec.delete(:name), **spec) { |job| player.call(job) }
      @players[miner["spec"]["name"]] = player
    end

    # The step with every "$name.path" put in.
    def resolved(value)
      case value
      when /\A\$(\w+)\.(.+)\z/
        name, path = $1, $2
        @kept.key?(name) ? path.split(".").reduce(@kept[name]) { |found, part| found[part] } : value
      when Array then value.map { |one| resolved(one) }
      when Hash then value.transform_values { |one| resolved(one) }
      else value
      end
    end

    # Plays a step as often as it wants.
    def perform(step)
      deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 10
      loop do
        wrong = attempt(step)
        return wrong if wrong.nil? || !step["until"] || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

        sleep(0.005)
      end
    end

    # Plays a step once. The text says what is wrong.
    def attempt(step)
      begin
        outcome = deed(step)
      rescue RouterError => error
        return "failed: #{details(error)}" unless step.key?("error")

        return Matching.mismatch(step["error"], details(error))
      end
      return "expected the error #{step["error"]}, got #{outcome.inspect}" if step.key?("error")

      task = outcome if outcome.is_a?(Task)
      if task
        outcome = { "session_id" => task.session_id, "task_id" => task.id, "gid" => task.gid, "joined" => task.joined? }
      end
      wrong = step.key?("expect") ? Matching.mismatch(step["expect"], outcome) : nil
      if wrong.nil? && step["as"]
        @kept[step["as"]] = outcome
        @tasks[step["as"]] = task if task
      end
      wrong
    end

    def details(error)
      { "kind" => error.kind, "code" => error.code, "message" => error.message, "retryable" => error.retryable? }
        .merge(error.details.transform_keys(&:to_s))
    end

    def task(step) = @tasks.fetch(step["task"].delete_prefix("$"))

    def options(request)
      names = ["prompt", *CortensorRouterNative.request_options]
      known, extra = request.partition { |name, _| names.include?(name) }
      known.to_h.transform_keys(&:to_sym).merge(extra: extra.to_h)
    end

    def page(name, page) = { "count" => page.count, name => page.map(&:to_h) }

    def symbols(hash) = hash.transform_keys(&:to_sym)

    def deed(step)
      case (deed = step["do"])
      when "info", "status" then @router.public_send(deed).to_h
      when "miners", "models" then page(deed, @router.public_send(deed))
      when "metrics" then { "text" => @router.metrics }
      when "create_session"
        spec = symbols(step["spec"])
        @router.create_session(spec.delete(:name), **spec).record.to_h
      when "session" then @router.session(step["session"]).record.to_h
      when "close_session" then @router.close_session(step["session"]).to_h
      when "update_session" then @router.update_session(step["session"], **symbols(step["patch"])).to_h
      when "sessions" then page("sessions", @router.sessions(**symbols(step["query"])))
      when "submit"
        given = options(step["request"])
        @router.submit(given.delete(:prompt), session_id: step["session"], **given)
      when "submit_prompt" then @router.submit(step["prompt"], session_id: step["session"], **symbols(step["options"]))
      when "embed" then @router.embed(step["input"], session_id: step["session"]).to_h
      when "attach" then @router.attach(step["session"], step["task_id"])
      when "task", "cancel" then @router.public_send(deed, step["session"], step["task_id"]).to_h
      when "tasks" then page("tasks", @router.tasks(step["session"], **symbols(step["query"])))
      when "record", "result" then task(step).public_send(deed).to_h
      when "text" then { "text" => task(step).text }
      when "cancel_task" then task(step).cancel && nil
      when "detach" then task(step).detach && nil
      when "release" then @tasks.delete(step["task"].delete_prefix("$")).release
      when "stream" then read(task(step), step["after"] || 0, step["take"])
      when "add_miner" then add_miner(step["miner"]) && nil
      when "remove_miner" then @router.remove_miner(step["name"])
      when "miner_saw" then @players.fetch(step["name"]).seen
      when "drain" then { "drained" => @router.drain(step["timeout_ms"] / 1000.0) }
      when "shutdown" then @router.close
      else raise "no such step: #{deed}"
      end
    end

    def read(task, after, take)
      seen = { "tokens" => [], "text" => +"", "restarts" => 0, "end" => nil }
      task.events(after: after) do |event|
        case event
        when Token
          seen["text"] << event.text
          seen["tokens"] << { "seq" => event.seq, "text" => event.text }
        when Restart
          seen["text"] = +""
          seen["restarts"] += 1
        else seen["end"] = event.completion.to_h
        end
        break if take && seen["tokens"].size >= take
      end
      seen
    rescue RouterError => error
      seen.merge("end" => { "error" => details(error) })
    end
  end
end
