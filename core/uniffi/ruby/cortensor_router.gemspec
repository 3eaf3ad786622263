# frozen_string_literal: true

require_relative "lib/cortensor_router/version"

Gem::Specification.new do |spec|
  spec.name = "cortensor_router"
  spec.version = CortensorRouter::VERSION
  spec.summary = "A router for AI inference that lives inside your program"
  spec.description = "Submit tasks to sessions; miners (model servers, workers that dial in, blocks of Ruby) answer " \
                     "them. There is no service to start and nothing to configure."
  spec.authors = ["The cortensor-router contributors"]
  spec.licenses = ["Apache-2.0", "MIT"]
  spec.required_ruby_version = ">= 3.1"
  # The gem carries a library for one platform.
  spec.platform = Gem::Platform.local
  # The licences and the bill of materials lie here only where `cargo xtask dist ruby` packs it.
  spec.files = Dir["lib/**/*.rb", "lib/cortensor_router/libcortensor_router_uniffi.*", "README.md", "LICENSE*",
                   "sbom.cdx.json"]
  spec.add_dependency "ffi", "~> 1.15"
  spec.metadata = { "rubygems_mfa_required" => "true" }
end
