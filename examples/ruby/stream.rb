# frozen_string_literal: true

# Tokens as they come.
#
#   ruby examples/ruby/stream.rb
require "cortensor_router"

CortensorRouter::Router.open do |router|
  router.miner("words", models: ["tiny"], capacity: 4) do |job|
    job.prompt.split.each do |word|
      job << "#{word} "
      sleep 0.05 # stands for a model that thinks
    end
  end
  session = router.create_session("chat", model: "tiny")
  task = session.submit("every word comes on its own")
  task.each { |token| print token } # breaking out cancels
  puts
  puts task.result.usage
end
