# frozen_string_literal: true

# Calls the router after its end: what was registered first to run at the end of the program runs last.
require "cortensor_router"

router = waiting = nil

at_exit do
  calls = [-> { waiting.value }, -> { router.complete("x") }, -> { CortensorRouter::Router.open }]
  calls.each do |call|
    call.call
    puts "answered"
  rescue CortensorRouter::RouterError => error
    puts error.class.name.split("::").last
  end
  router.close
end

router = CortensorRouter::Router.open
waits = Thread::Queue.new
waiting = Thread.new do
  Thread.current.report_on_exception = false
  # Nothing answers this before the end.
  CortensorRouter.const_get(:Bridge).current.call { |_token| (waits << true) && false }
end
waits.pop
puts "waits"
