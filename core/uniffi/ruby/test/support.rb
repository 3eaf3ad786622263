# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))

require "minitest/autorun"
require "cortensor_router"
require "json"
require "net/http"
require "open3"
require "rbconfig"
require "timeout"

# The parts that the tests share.
module Support
  REPOSITORY = File.expand_path("../../../..", __dir__)
  # The time within which something must have happened, on a slow machine.
  SOON = 20
  PATIENT = { limits: { default_timeout_secs: 280 }, dispatch: { progress_timeout_ms: 280_000 } }.freeze

  module_function

  # Waits until the block gives something.
  def until_true(what = "it")
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + SOON
    loop do
      given = yield
      return given if given
      raise "#{what} has not come within #{SOON} s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

      Thread.pass
      sleep(0.002)
    end
  end

  # Runs a Ruby program of the tests. Gives its output and its status; a program that hangs is killed.
  def program(name, *arguments)
    path = File.join(__dir__, "programs", "#{name}.rb")
    lib = File.expand_path("../lib", __dir__)
    Open3.popen2e(RbConfig.ruby, "-W2", "-I", lib, path, *arguments) do |input, output, process|
      input.close
      killer = Thread.new { sleep(60) && Process.kill("KILL", process.pid) }
      text = output.read
      status = process.value
      killer.kill
      return [text, status]
    end
  end

  # The resident memory in bytes, on Linux.
  def resident = File.read("/proc/self/statm").split[1].to_i * 4096
end
