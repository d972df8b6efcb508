// SPDX-License-Identifier: GPL-2.0-only

/// What Linux 7.3's pt_iommu_*_init() makes of configurations, seen by running it in userspace.
enum LinuxConfigurations {
  /// A configuration that Linux accepts, and the shape it gets.
  struct Accepted: Sendable {
    var text: String
    var iovaBits: Int
    var outputBits: Int
    var topLevel: Int
    var pageSizes: UInt64
    var aperture: ClosedRange<UInt64>
  }

  static let accepted: [Accepted] = [
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 64, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text:
        "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2,cbit=47",
      iovaBits: 64, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text:
        "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2,cbit=51",
      iovaBits: 64, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text:
        "amdv1:va=64,oa=47,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2,cbit=47",
      iovaBits: 64, outputBits: 47, topLevel: 2, pageSizes: 0x7f7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text:
        "amdv1:va=64,oa=52,features=dynamic_top+flush_range_no_gaps+encrypt_tables+force_coherence,level=2",
      iovaBits: 64, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=1",
      iovaBits: 64, outputBits: 52, topLevel: 1, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=3",
      iovaBits: 64, outputBits: 52, topLevel: 3, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=4",
      iovaBits: 64, outputBits: 52, topLevel: 4, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=5",
      iovaBits: 64, outputBits: 52, topLevel: 5, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=32,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 32, outputBits: 52, topLevel: 2, pageSizes: 0x7fff_f000, aperture: 0x0...0xffff_ffff),
    Accepted(
      text: "amdv1:va=48,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 48, outputBits: 52, topLevel: 2, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1:va=57,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 57, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0x1ff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=60,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=5",
      iovaBits: 60, outputBits: 52, topLevel: 5, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xfff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=48,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 64, outputBits: 48, topLevel: 2, pageSizes: 0xff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=36,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2",
      iovaBits: 64, outputBits: 36, topLevel: 2, pageSizes: 0xf_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=1,build=permissive",
      iovaBits: 30, outputBits: 52, topLevel: 1, pageSizes: 0x1fff_f000, aperture: 0x0...0x3fff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=2,build=permissive",
      iovaBits: 39, outputBits: 52, topLevel: 2, pageSizes: 0x3f_ffff_f000, aperture: 0x0...0x7f_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=3,build=permissive",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=4,build=permissive",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0x1ff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=5,build=permissive",
      iovaBits: 64, outputBits: 52, topLevel: 5, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range+force_coherence,level=3,build=permissive",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range+encrypt_tables,level=3,cbit=47,build=permissive",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text:
        "amdv1:va=64,oa=52,features=flush_range+encrypt_tables+force_coherence,level=3,cbit=51,build=permissive",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1:va=64,oa=52,features=flush_range,level=3,cbit=47,build=permissive",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1:va=64,oa=52,features=dynamic_top+flush_range,level=2,build=permissive",
      iovaBits: 64, outputBits: 52, topLevel: 2, pageSizes: 0xf_ff7f_ffff_f000,
      aperture: 0x0...0xffff_ffff_ffff_ffff),
    Accepted(
      text: "amdv1:va=48,oa=48,features=dynamic_top+flush_range,level=1,build=permissive",
      iovaBits: 48, outputBits: 48, topLevel: 1, pageSizes: 0x7f7f_ffff_f000, aperture: 0x0...0xffff_ffff_ffff
    ),
    Accepted(
      text: "amdv1_mock:va=56,oa=51,features=none,level=2",
      iovaBits: 38, outputBits: 51, topLevel: 2, pageSizes: 0x1f_ffff_f800, aperture: 0x0...0x3f_ffff_ffff),
    Accepted(
      text: "amdv1_mock:va=56,oa=51,features=none,level=1",
      iovaBits: 29, outputBits: 51, topLevel: 1, pageSizes: 0xffff800, aperture: 0x0...0x1fff_ffff),
    Accepted(
      text: "amdv1_mock:va=56,oa=51,features=none,level=4",
      iovaBits: 56, outputBits: 51, topLevel: 4, pageSizes: 0x7f7f_ffff_f800,
      aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=48,oa=52,features=sign_extend+flush_range,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=57,oa=52,features=sign_extend+flush_range,level=4",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=48,oa=52,features=dma_incoherent+sign_extend+flush_range,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=57,oa=52,features=dma_incoherent+sign_extend+flush_range,level=4",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=47,oa=52,features=flush_range+encrypt_tables,level=3",
      iovaBits: 47, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=47,oa=52,features=flush_range+encrypt_tables,level=3,cbit=47",
      iovaBits: 47, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=47,oa=52,features=flush_range+encrypt_tables,level=3,cbit=51",
      iovaBits: 47, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=47,oa=47,features=flush_range+encrypt_tables,level=3,cbit=47",
      iovaBits: 47, outputBits: 47, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=47,oa=52,features=flush_range_no_gaps+encrypt_tables,level=3",
      iovaBits: 47, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "x86_64:va=56,oa=52,features=flush_range+encrypt_tables,level=4",
      iovaBits: 56, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=56,oa=52,features=flush_range+encrypt_tables,level=4,cbit=51",
      iovaBits: 56, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=48,oa=52,features=flush_range,level=3,cbit=47",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "x86_64:va=40,oa=46,features=flush_range,level=3",
      iovaBits: 40, outputBits: 46, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xff_ffff_ffff),
    Accepted(
      text: "x86_64:va=48,oa=52,features=sign_extend+flush_range,level=4",
      iovaBits: 48, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "vtdss:va=39,oa=52,features=flush_range,level=2",
      iovaBits: 39, outputBits: 52, topLevel: 2, pageSizes: 0x4020_1000, aperture: 0x0...0x7f_ffff_ffff),
    Accepted(
      text: "vtdss:va=48,oa=52,features=flush_range,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=57,oa=52,features=flush_range,level=4",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0x1ff_ffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=39,oa=52,features=flush_range+force_coherence,level=2",
      iovaBits: 39, outputBits: 52, topLevel: 2, pageSizes: 0x4020_1000, aperture: 0x0...0x7f_ffff_ffff),
    Accepted(
      text: "vtdss:va=48,oa=52,features=flush_range+force_coherence,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=57,oa=52,features=flush_range+force_coherence,level=4",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0x1ff_ffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=48,oa=52,features=flush_range+force_writeable,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=48,oa=52,features=dma_incoherent+flush_range,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=57,oa=52,features=dma_incoherent+flush_range,level=4",
      iovaBits: 57, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0x1ff_ffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=48,oa=52,features=dma_incoherent+flush_range+force_coherence+force_writeable,level=3",
      iovaBits: 48, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=36,oa=46,features=flush_range,level=2",
      iovaBits: 36, outputBits: 46, topLevel: 2, pageSizes: 0x4020_1000, aperture: 0x0...0xf_ffff_ffff),
    Accepted(
      text: "vtdss:va=46,oa=52,features=flush_range,level=3",
      iovaBits: 46, outputBits: 52, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x3fff_ffff_ffff),
    Accepted(
      text: "vtdss:va=52,oa=52,features=flush_range,level=4",
      iovaBits: 52, outputBits: 52, topLevel: 4, pageSizes: 0x4020_1000, aperture: 0x0...0xf_ffff_ffff_ffff),
    Accepted(
      text: "vtdss:va=39,oa=39,features=flush_range,level=3",
      iovaBits: 39, outputBits: 39, topLevel: 3, pageSizes: 0x4020_1000, aperture: 0x0...0x7f_ffff_ffff),
    Accepted(
      text: "riscv64:va=39,oa=56,features=sign_extend+flush_range+detailed_gather",
      iovaBits: 39, outputBits: 56, topLevel: 2, pageSizes: 0x4020_1000, aperture: 0x0...0x3f_ffff_ffff),
    Accepted(
      text: "riscv64:va=48,oa=56,features=sign_extend+flush_range+detailed_gather",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4020_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "riscv64:va=57,oa=56,features=sign_extend+flush_range+detailed_gather",
      iovaBits: 57, outputBits: 56, topLevel: 4, pageSizes: 0x1_0080_4020_1000,
      aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "riscv64:va=39,oa=56,features=sign_extend+flush_range+detailed_gather+svnapot_64k",
      iovaBits: 39, outputBits: 56, topLevel: 2, pageSizes: 0x4021_1000, aperture: 0x0...0x3f_ffff_ffff),
    Accepted(
      text: "riscv64:va=48,oa=56,features=sign_extend+flush_range+detailed_gather+svnapot_64k",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4021_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "riscv64:va=57,oa=56,features=sign_extend+flush_range+detailed_gather+svnapot_64k",
      iovaBits: 57, outputBits: 56, topLevel: 4, pageSizes: 0x1_0080_4021_1000,
      aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text: "riscv64:va=48,oa=56,features=flush_range+detailed_gather",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4020_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "riscv64:va=48,oa=56,features=flush_range+detailed_gather+svnapot_64k",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4021_1000, aperture: 0x0...0xffff_ffff_ffff),
    Accepted(
      text: "riscv64:va=39,oa=44,features=sign_extend+flush_range+detailed_gather+svnapot_64k",
      iovaBits: 39, outputBits: 44, topLevel: 2, pageSizes: 0x4021_1000, aperture: 0x0...0x3f_ffff_ffff),
    Accepted(
      text: "riscv64:va=39,oa=56,features=sign_extend+flush_range+svnapot_64k+svpbmt,build=permissive",
      iovaBits: 39, outputBits: 56, topLevel: 2, pageSizes: 0x4021_1000, aperture: 0x0...0x3f_ffff_ffff),
    Accepted(
      text: "riscv64:va=48,oa=56,features=sign_extend+flush_range+svnapot_64k+svpbmt,build=permissive",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4021_1000, aperture: 0x0...0x7fff_ffff_ffff),
    Accepted(
      text: "riscv64:va=57,oa=56,features=sign_extend+flush_range+svpbmt,build=permissive",
      iovaBits: 57, outputBits: 56, topLevel: 4, pageSizes: 0x1_0080_4020_1000,
      aperture: 0x0...0xff_ffff_ffff_ffff),
    Accepted(
      text:
        "riscv64:va=48,oa=56,features=sign_extend+flush_range+detailed_gather+svnapot_64k+svpbmt,build=permissive",
      iovaBits: 48, outputBits: 56, topLevel: 3, pageSizes: 0x80_4021_1000, aperture: 0x0...0x7fff_ffff_ffff),
  ]

  /// Configurations that Linux refuses, and with which errno.
  static let refused: [(text: String, errno: String)] = [
    ("amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=0", "EINVAL"),
    ("amdv1:va=64,oa=52,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=6", "EINVAL"),
    ("amdv1:va=64,oa=52,features=dynamic_top+encrypt_tables,level=2", "EOPNOTSUPP"),
    ("amdv1:va=64,oa=53,features=dynamic_top+flush_range+encrypt_tables+force_coherence,level=2", "EINVAL"),
    (
      "amdv1:va=64,oa=52,features=dynamic_top+sign_extend+encrypt_tables+force_coherence,level=2",
      "EOPNOTSUPP"
    ),
    (
      "amdv1:va=64,oa=52,features=dma_incoherent+dynamic_top+encrypt_tables+force_coherence,level=2",
      "EOPNOTSUPP"
    ),
    ("x86_64:va=39,oa=52,features=flush_range,level=2", "EOPNOTSUPP"),
    ("x86_64:va=57,oa=52,features=flush_range,level=3", "EOPNOTSUPP"),
    ("x86_64:va=58,oa=52,features=flush_range,level=4", "EINVAL"),
    ("x86_64:va=48,oa=52,features=dynamic_top+flush_range,level=3", "EOPNOTSUPP"),
    ("vtdss:va=30,oa=52,features=flush_range,level=1", "EOPNOTSUPP"),
    ("vtdss:va=48,oa=52,features=flush_range,level=2", "EOPNOTSUPP"),
    ("vtdss:va=48,oa=52,features=sign_extend+flush_range,level=3", "EOPNOTSUPP"),
    ("riscv64:va=48,oa=56,features=sign_extend+flush_range", "EOPNOTSUPP"),
    ("riscv64:va=40,oa=56,features=sign_extend+flush_range+detailed_gather", "EINVAL"),
    ("riscv64:va=48,oa=56,features=sign_extend+flush_range+detailed_gather+svnapot_64k+svpbmt", "EOPNOTSUPP"),
    ("riscv64:va=48,oa=56,features=dma_incoherent+sign_extend+flush_range+detailed_gather", "EOPNOTSUPP"),
  ]
}
