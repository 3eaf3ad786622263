# frozen_string_literal: true

# Measures the cost of the gem beside Rust, in one run. `cargo xtask bench ruby` runs it; REFERENCE is the line that
# `cargo bench --bench embed` prints.
require "cortensor_router"
require "etc"
require "json"
require "optparse"

options = { reference: "{}", count: 10_000 }
OptionParser.new do |parser|
  parser.on("--reference JSON", "the figures of Rust, as JSON") { |text| options[:reference] = text }
  parser.on("--json FILE") { |file| options[:json] = file }
  parser.on("--quick") { options[:count] = 1_000 }
end.parse!

QUIET = { runtime: { log_level: "off" } }.freeze
TOKENS = 200_000

# The microseconds of one of +count+ turns of the block.
def each_of(count)
  started = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  yield
  (Process.clock_gettime(Process::CLOCK_MONOTONIC) - started) * 1e6 / count
end

def measured(count)
  CortensorRouter::Router.open(QUIET) do |router|
    router.miner("tiny", models: ["tiny"], capacity: 64) { |_| "x" }
    router.miner("flood", models: ["flood"]) { |job| TOKENS.times { job << "tok " } }
    call = -> { router.complete("hello", model: "tiny") }
    (count / 10).times { call.call }
    figures = { call_c1_us: each_of(count) { count.times { call.call } } }
    figures[:call_c32_us] = each_of(count) do
      Array.new(32) { Thread.new { (count / 32).times { call.call } } }.each(&:join)
    end
    figures[:task_us] = each_of(count) do
      Array.new(count) { router.submit("hello", model: "tiny") }.each(&:text)
    end
    figures[:token_us] = each_of(TOKENS) { router.submit("go", model: "flood").count == TOKENS or raise "tokens" }
    # The least call of the border: no object and a short text.
    figures[:border_us] = each_of(count) { count.times { CortensorRouterNative.version } }
    figures
  end
end

results = { rust: JSON.parse(options[:reference]), ruby: measured(options[:count]), version: RUBY_VERSION }
puts "\nRuby #{RUBY_VERSION}, microseconds each"
%i[rust ruby].each do |row|
  told = results[row].map { |name, value| "#{name} #{value.is_a?(Numeric) ? format("%.2f", value) : value}" }
  puts "#{row.to_s.ljust(8)}#{told.join("  ")}"
end
puts "bench: ruby #{results[:ruby].map { |name, value| "#{name}=#{format("%.2f", value)}" }.join(" ")}"
File.write(options[:json], "#{JSON.pretty_generate(results)}\n") if options[:json]
