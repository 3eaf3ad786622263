# frozen_string_literal: true

# A miner that blocks its thread, and notices when its work is no longer wanted.
#
#   ruby examples/ruby/own_miner.rb
require "cortensor_router"

# Stands for a model: counts from one, as far as it is asked to.
def count(job)
  (1..job.request.fetch("max_tokens", 10)).each do |number|
    job << "#{number} "
    sleep 0.01
  end
rescue CortensorRouter::JobCancelled
  puts "(nobody waits any more)"
  raise
end

CortensorRouter::Router.open do |router|
  router.miner("counter", models: ["count"], capacity: 2) { |job| count(job) }
  puts router.complete("go", model: "count", max_tokens: 5).text

  router.submit("go", model: "count", max_tokens: 1000).each do |token|
    print token
    break if token == "3 " # cancels, and the miner sees it
  end
  puts
end
