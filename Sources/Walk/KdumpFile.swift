// SPDX-License-Identifier: GPL-2.0-only

#if Kdumpfile
  import CKdumpfile
  import PageTable

  #if canImport(Glibc)
    import Glibc
  #endif

  /// A dump of any format that libkdumpfile reads: ELF, makedumpfile's compressed one, ….
  public final class KdumpFile: MachineMemory {
    private let context: OpaquePointer
    private let descriptor: Int32
    private let path: String

    /// - Throws: `DumpError` with the library's words.
    public init(_ path: String) throws {
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw DumpError(path, String(cString: strerror(errno))) }
      guard let context = kdump_new() else {
        close(descriptor)
        throw DumpError(path, "libkdumpfile has no memory")
      }
      let status = kdump_open_fd(context, descriptor)
      guard status == KDUMP_OK else {
        let text = kdump_get_err(context).map { String(cString: $0) } ?? "status \(status.rawValue)"
        let hint = Self.hint(descriptor)
        kdump_free(context)
        close(descriptor)
        throw DumpError(path, "expected a dump that libkdumpfile reads: \(text)\(hint)")
      }
      self.path = path
      self.context = context
      self.descriptor = descriptor
    }

    /// makedumpfile and QEMU write a flattened form by default, for pipes.
    private static func hint(_ descriptor: Int32) -> String {
      var magic = [UInt8](repeating: 0, count: 12)
      guard pread(descriptor, &magic, magic.count, 0) == magic.count, magic.elementsEqual("makedumpfile".utf8)
      else {
        return ""
      }
      return "; it is flattened: 'makedumpfile -R' makes it a file, QEMU's formats kdump-raw-… are one"
    }

    deinit {
      kdump_free(context)
      close(descriptor)
    }

    public func read(at physical: UInt64, count: Int) throws -> [UInt8]? {
      guard count > 0 else { return [] }
      var bytes = [UInt8](repeating: 0, count: count)
      var length = count
      let status = bytes.withUnsafeMutableBytes { buffer in
        kdump_read(context, KDUMP_MACHPHYSADDR, kdump_addr_t(physical), buffer.baseAddress, &length)
      }
      switch status {
      case KDUMP_OK: return length == count ? bytes : nil
      // Not in the dump, left out of it, or beyond all memory.
      case KDUMP_ERR_NODATA, KDUMP_ERR_INVALID, KDUMP_ERR_ADDRXLAT: return nil
      default:
        let text = kdump_get_err(context).map { String(cString: $0) } ?? "status \(status.rawValue)"
        throw DumpError(path, "reading \(Numbers.hex(physical)): \(text)")
      }
    }
  }
#endif
