# frozen_string_literal: true

# Ctrl-C interrupts a call that waits, and its task is cancelled.
require "cortensor_router"

CortensorRouter::Router.open do |router|
  cancelled = Thread::Queue.new
  router.miner("held") do |job|
    puts "waits"
    $stdout.flush
    cancelled << job.wait_cancelled
  end
  begin
    router.complete("x")
  rescue Interrupt
    puts "interrupted, cancelled: #{cancelled.pop}"
  end
end
