# frozen_string_literal: true

require "json"

require_relative "cortensor_router/version"
require_relative "cortensor_router/error"
require_relative "cortensor_router/errors"
require_relative "cortensor_router/native"
require_relative "cortensor_router/bridge"
require_relative "cortensor_router/record"
require_relative "cortensor_router/completion"
require_relative "cortensor_router/request"
require_relative "cortensor_router/job"
require_relative "cortensor_router/workers"
require_relative "cortensor_router/miner"
require_relative "cortensor_router/log"
require_relative "cortensor_router/task"
require_relative "cortensor_router/session"
require_relative "cortensor_router/listener"
require_relative "cortensor_router/rack"
require_relative "cortensor_router/router"
require_relative "cortensor_router/miner_client"

# A router for AI inference inside this program.
#
#   CortensorRouter::Router.open do |router|
#     router.miner("shout") { |job| job.prompt.upcase }
#     puts router.complete("hello").text
#   end
module CortensorRouter
  class << self
    # The logger of miners and routers that have none of their own: a Logger, or nil for silence.
    attr_accessor :logger
  end
end
