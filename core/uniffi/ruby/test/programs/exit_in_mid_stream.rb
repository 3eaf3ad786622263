# frozen_string_literal: true

# Ends in the middle of everything, without closing anything. The argument says how.
require "cortensor_router"

how = ARGV.fetch(0)
router = CortensorRouter::Router.open({ runtime: { log_level: how == "logged" ? "trace" : "off" } },
                                      logger: how == "logged" ? Logger.new(IO::NULL) : nil)

# Tasks whose tokens are read on threads of their own.
def streaming(router)
  tasks = Array.new(4) { router.submit("go") }
  read = Thread::Queue.new
  tasks.each do |task|
    Thread.new do
      Thread.current.report_on_exception = false
      task.each { |token| read << token }
    end
  end
  20.times { read.pop }
end

case how
when "stream", "logged"
  router.miner("endless", capacity: 4) { |job| loop { job << "x" } }
  streaming(router)
when "exit"
  router.miner("endless", capacity: 4) { |job| loop { job << "x" } }
  streaming(router)
  exit 0
when "exit!"
  router.miner("endless", capacity: 4) { |job| loop { job << "x" } }
  streaming(router)
  exit! 0
when "blocked"
  works = Thread::Queue.new
  router.miner("sleeps") { |_job| (works << true) && sleep }
  task = router.submit("x")
  listener = router.listen(port: 0)
  [-> { task.result }, -> { listener.ended }, -> { task.each { |token| token } }].each do |wait|
    Thread.new do
      Thread.current.report_on_exception = false
      wait.call
    end
  end
  works.pop
when "spinning"
  works = Thread::Queue.new
  router.miner("spin") do |_job|
    works << true
    loop { nil }
  end
  router.submit("x")
  works.pop
when "enumerator"
  router.miner("endless", capacity: 4) { |_job| Enumerator.new { |pieces| loop { pieces << "x" } } }
  tokens = router.submit("go").each
  3.times { tokens.next }
else raise how
end
