// SPDX-License-Identifier: GPL-2.0-only

/// One kind of entry: a table pointer or a leaf.
///
/// Expressions see `level`, `shift` (the lowest index bit of the level), `width` (its index bits)
/// and the variable of `each`. Conditions on words (`protection`, `dirty`, `accessed`, `checks`) also
/// see the names of fields.
public struct EntrySpec: Hashable, Sendable {
  public enum Kind: String, Hashable, Sendable, CaseIterable {
    case table
    case leaf
  }

  /// How the words of one leaf differ.
  public enum Words: String, Hashable, Sendable, CaseIterable {
    /// All words are the same.
    case identical
    /// Each word holds its own, consecutive address.
    case consecutive
  }

  /// A variable that takes each value of a range; the entry stands once for each.
  public struct Each: Hashable, Sendable {
    public var name: String
    public var from: SpecExpression
    public var through: SpecExpression

    public init(name: String, from: SpecExpression, through: SpecExpression) {
      self.name = name
      self.from = from
      self.through = through
    }
  }

  /// The manual's name.
  public var name: String
  public var kind: Kind
  /// The first and last level it occurs at.
  public var firstLevel: SpecExpression
  public var lastLevel: SpecExpression
  public var when: SpecExpression
  public var each: Each?
  /// Of a leaf: log2 of its size in bytes.
  public var size: SpecExpression
  /// Of a leaf: whether Linux uses it, so that it may be encoded; it is decoded in any case.
  public var offered: SpecExpression
  public var words: Words
  /// Of a table pointer: the level it leads to; skipped index bits must be 0.
  public var child: SpecExpression
  public var fields: [FieldSpec]
  /// What the word grants and means; keys are the flags' names (`read`, `write`, `cache`,
  /// `noexec`, `mmio`, `priv`).
  public var protection: [ConditionSpec]
  public var dirty: SpecExpression?
  public var accessed: SpecExpression?
  public var checks: [CheckSpec]
  public var section: String
  public var line: Int

  public init(
    name: String, kind: Kind, firstLevel: SpecExpression, lastLevel: SpecExpression, when: SpecExpression,
    each: Each?, size: SpecExpression, offered: SpecExpression, words: Words, child: SpecExpression,
    fields: [FieldSpec], protection: [ConditionSpec], dirty: SpecExpression?, accessed: SpecExpression?,
    checks: [CheckSpec], section: String, line: Int
  ) {
    self.name = name
    self.kind = kind
    self.firstLevel = firstLevel
    self.lastLevel = lastLevel
    self.when = when
    self.each = each
    self.size = size
    self.offered = offered
    self.words = words
    self.child = child
    self.fields = fields
    self.protection = protection
    self.dirty = dirty
    self.accessed = accessed
    self.checks = checks
    self.section = section
    self.line = line
  }
}

/// A named condition on words.
public struct ConditionSpec: Hashable, Sendable {
  public var name: String
  public var when: SpecExpression

  public init(name: String, when: SpecExpression) {
    self.name = name
    self.when = when
  }
}

/// A condition under which a walk faults at a word.
public struct CheckSpec: Hashable, Sendable {
  /// Which accesses it concerns.
  public enum Access: String, Hashable, Sendable, CaseIterable {
    case any
    case read
    case write
  }

  public var when: SpecExpression
  public var access: Access
  /// The key of the fault.
  public var fault: String
  public var why: String

  public init(when: SpecExpression, access: Access, fault: String, why: String) {
    self.when = when
    self.access = access
    self.fault = fault
    self.why = why
  }
}

/// A named range of bits of one kind of entry.
public struct FieldSpec: Hashable, Sendable {
  /// What the hardware does with the bits.
  public enum Role: String, Hashable, Sendable, CaseIterable {
    /// It uses them.
    case used
    /// It faults when one is set.
    case reserved
    /// Software must write 0; the hardware does not look.
    case res0
    /// The hardware does not look; the bits are free.
    case ignored
  }

  /// A value with its meaning.
  public struct Meaning: Hashable, Sendable {
    public var value: SpecExpression
    public var text: String

    public init(value: SpecExpression, text: String) {
      self.value = value
      self.text = text
    }
  }

  /// The manual's name.
  public var name: String
  public var bits: SpecBits
  public var role: Role
  public var when: SpecExpression
  /// The value by which the kind of entry is told; nil when the bits may vary.
  public var fixed: SpecExpression?
  /// The lowest bit of the address that the field's lowest bit holds; nil when it holds none.
  public var address: SpecExpression?
  /// What Linux writes; sees the protection flags, `dirty` and `accessed`.
  public var encode: SpecExpression?
  /// Whether the hardware may set or clear the bits by itself.
  public var updated: SpecExpression
  public var text: String
  public var meanings: [Meaning]
  public var section: String
  public var line: Int

  public init(
    name: String, bits: SpecBits, role: Role, when: SpecExpression, fixed: SpecExpression?,
    address: SpecExpression?, encode: SpecExpression?, updated: SpecExpression, text: String,
    meanings: [Meaning], section: String, line: Int
  ) {
    self.name = name
    self.bits = bits
    self.role = role
    self.when = when
    self.fixed = fixed
    self.address = address
    self.encode = encode
    self.updated = updated
    self.text = text
    self.meanings = meanings
    self.section = section
    self.line = line
  }
}
