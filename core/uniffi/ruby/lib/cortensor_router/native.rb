# frozen_string_literal: true

module CortensorRouter
  # The native library: the file beside this one, or the one that the environment names.
  LIBRARY = ENV.fetch("CORTENSOR_ROUTER_LIBRARY") do
    endings = { /darwin/ => "dylib", /mswin|mingw/ => "dll" }
    ending = endings.find { |system, _| RUBY_PLATFORM.match?(system) }&.last || "so"
    File.join(__dir__, "libcortensor_router_uniffi.#{ending}")
  end
end

begin
  # The generated code waits for descriptors, and needs the method of this part of the standard library.
  require "io/wait"
  require_relative "cortensor_router_native"
rescue LoadError => error
  raise if error.path && !error.path.end_with?("cortensor_router_native")

  raise LoadError, "#{error.message}: the native part of cortensor_router is absent here; " \
                   "`cargo xtask dist ruby` builds a gem with it"
end

module CortensorRouter
  # The calls of the generated code. Private.
  module Native
    private

    # Makes a native call whose errors are the package's exceptions.
    def native
      yield
    rescue ::CortensorRouterNative::NativeError::Refused => error
      raise RouterError.of(error.details)
    rescue ::CortensorRouterNative::InternalError => error
      raise PanicError.new("the router panicked: #{error.message}")
    end
  end
  private_constant :Native
end
