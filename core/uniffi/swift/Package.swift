// swift-tools-version:5.9
import PackageDescription

// The C half of the generated code: the headers and the library. On Apple's systems it comes as an XCFramework, which
// `cargo xtask dist swift` lays out beside this file; elsewhere the linker must find `libcortensor_router_uniffi`.
#if os(Linux)
let native: Target = .systemLibrary(name: "cortensor_router_nativeFFI", path: "Sources/cortensor_router_nativeFFI")
#else
let native: Target = .binaryTarget(name: "cortensor_router_nativeFFI", path: "cortensor_router_nativeFFI.xcframework")
#endif

let package = Package(
    name: "CortensorRouter",
    platforms: [.macOS(.v12), .iOS(.v15)],
    products: [.library(name: "CortensorRouter", targets: ["CortensorRouter"])],
    targets: [
        native,
        .target(name: "CortensorRouterNative", dependencies: ["cortensor_router_nativeFFI"]),
        .target(name: "CortensorRouter", dependencies: ["CortensorRouterNative"]),
    ]
)
