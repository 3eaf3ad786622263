# frozen_string_literal: true

# A router with one miner of its own: submit a prompt, print the answer.
#
#   ruby examples/ruby/hello.rb
require "cortensor_router"

CortensorRouter::Router.open do |router|
  router.miner("shout", capacity: 4) { |job| job.prompt.upcase }
  puts router.complete("hello").text
end
