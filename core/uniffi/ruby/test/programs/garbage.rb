# frozen_string_literal: true

# Objects let go in every order.
require "cortensor_router"

THINGS = %w[router session task stream miner listener].freeze

THINGS.permutation.each_with_index do |order, index|
  # Every order of the first three, and the whole of some.
  next unless (index % 6).zero?

  router = CortensorRouter::Router.open
  miner = router.miner("words", capacity: 2) { |job| job.prompt.split }
  session = router.create_session("chat")
  task = session.submit("a b c")
  stream = task.each
  stream.next
  things = { "router" => router, "session" => session, "task" => task, "stream" => stream, "miner" => miner }
  things["listener"] = router.listen(port: 0) if order.first == "listener" && (index % 60).zero?
  # A cycle, so that the collector finds them all at once in some orders.
  things["self"] = things if order[1] == "listener"
  router.close if order.last == "router"
  router = miner = session = task = stream = nil
  order.each do |name|
    things.delete(name)
    GC.start if order[2] == "listener" && name == order[3]
  end
  things = nil
end
GC.start
puts "done"
