# frozen_string_literal: true

# The REST API inside a Rack application, as in Rails, Sinatra or Puma: `run` this in a config.ru, or `mount` it.
#
#   ruby examples/ruby/rack_app.rb
require "cortensor_router"
require "stringio"

router = CortensorRouter::Router.open
router.miner("words", models: ["tiny"], capacity: 16) { |job| job.prompt.split.map { |word| "#{word} " } }
api = router.rack
app = lambda do |env|
  unless env["PATH_INFO"].start_with?("/ai/")
    next [200, { "content-type" => "text/plain" }, ["a page of the application"]]
  end

  api.call(env.merge("PATH_INFO" => env["PATH_INFO"].delete_prefix("/ai")))
end

# Stands for the server, which calls the application for each request.
request = { "REQUEST_METHOD" => "POST", "PATH_INFO" => "/ai/v1/completions", "QUERY_STRING" => "",
            "HTTP_HOST" => "localhost", "REMOTE_ADDR" => "127.0.0.1", "CONTENT_TYPE" => "application/json",
            "HTTP_AUTHORIZATION" => "Bearer default-dev-token",
            "rack.input" => StringIO.new('{"model": "tiny", "prompt": "every word comes on its own", "stream": true}') }
status, headers, body = app.call(request)
puts status, headers["content-type"]
body.each { |piece| print piece }
router.close
