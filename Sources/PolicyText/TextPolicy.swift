import Datapath

/// A policy written as text.
public enum TextPolicy {}
