# frozen_string_literal: true

# A program that embeds a router and serves its REST API and OpenAI's until Ctrl-C.
#
#   ruby examples/ruby/serve.rb, then call it as it says.
require "cortensor_router"

$stdout.sync = true
CortensorRouter::Router.open do |router|
  router.miner("echo", models: ["echo"], capacity: 8) { |job| job.prompt.split.map { |word| "#{word} " } }
  listener = router.listen(port: Integer(ENV.fetch("PORT", "0")))
  puts "curl -H 'Authorization: Bearer default-dev-token' #{listener.url}/api/v1/status"
  begin
    listener.ended
  rescue Interrupt
    puts "stopping"
  end
end
