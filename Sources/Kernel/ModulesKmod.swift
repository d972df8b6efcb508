// SPDX-License-Identifier: GPL-2.0-only

#if Kmod
  import CKmod
  import Glibc
  import Machine

  /// Modules by libkmod, as modprobe has them: with the indexes of depmod, compressed files and the options of modprobe.d. It
  /// knows the machine at hand alone.
  public final class KmodModules: ModuleSource {
    private let context: OpaquePointer

    /// The modules of the running kernel, or those of a folder as /lib/modules/RELEASE.
    ///
    /// - Throws: `MachineError` when libkmod cannot start.
    public init(folder: String? = nil) throws(MachineError) {
      guard let context = kmod_new(folder, nil) else { throw .refused(call: "kmod_new", error: errno) }
      self.context = context
      // What goes wrong is said by results, and not on standard error.
      kmod_set_log_priority(context, 0)
      kmod_load_resources(context)
    }

    deinit { kmod_unref(context) }

    public func state(of module: String) throws -> ModuleState {
      try with(module) { handle in
        switch kmod_module_get_initstate(handle) {
        case Int32(KMOD_MODULE_BUILTIN.rawValue): return .builtIn
        case Int32(KMOD_MODULE_LIVE.rawValue): return .loaded
        case Int32(KMOD_MODULE_COMING.rawValue) where access("/sys/module/\(module)/initstate", F_OK) != 0:
          // A folder without a state is what libkmod takes for a module on its way, and what is built in has.
          return .builtIn
        default:
          return kmod_module_get_path(handle).map { .available(file: String(cString: $0)) } ?? .missing
        }
      }
    }

    public func dependencies(of module: String) throws -> [String] {
      try ModuleOrder.dependencies(of: module) { name in
        try with(name) { handle in
          guard let list = kmod_module_get_dependencies(handle) else { return [] }
          defer { kmod_module_unref_list(list) }
          var names: [String] = []
          var item: OpaquePointer? = list
          while let current = item {
            if let needed = kmod_module_get_module(current) {
              if let name = kmod_module_get_name(needed) { names.append(String(cString: name)) }
              kmod_module_unref(needed)
            }
            item = kmod_list_next(list, current)
          }
          return names
        }
      }
    }

    public func insert(_ module: String, parameters: String) throws {
      try with(module) { handle in
        let own = kmod_module_get_options(handle).map { String(cString: $0) } ?? ""
        let all = [parameters, own].filter { !$0.isEmpty }.joined(separator: " ")
        let result = kmod_module_insert_module(handle, 0, all)
        guard result >= 0 else { throw MachineError.refused(call: "insert \(module)", error: -result) }
      }
    }

    private func with<Result>(_ module: String, _ body: (OpaquePointer) throws -> Result) throws -> Result {
      var handle: OpaquePointer?
      let result = kmod_module_new_from_name(context, module, &handle)
      guard result >= 0, let handle else {
        throw MachineError.refused(call: "kmod_module_new_from_name \(module)", error: -result)
      }
      defer { kmod_module_unref(handle) }
      return try body(handle)
    }
  }
#endif
