# frozen_string_literal: true

# A child is told that its parent's router is not its own, and opens one.
require "cortensor_router"

router = CortensorRouter::Router.open
router.miner("echo") { |job| job.prompt }
task = router.submit("before")
task.result
child = fork do
  begin
    router.complete("x")
    puts "the child used its parent's router"
  rescue CortensorRouter::ClosedError => error
    puts error.code
  end
  task = nil
  GC.start
  CortensorRouter::Router.open do |own|
    own.miner("child") { |job| job.prompt.upcase }
    puts own.complete("child").text
  end
end
Process.wait(child)
puts $?.success?
puts router.complete("parent").text
