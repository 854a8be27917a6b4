"""Shared libraries: reading ELF, the loader's rules over a Tree, symbol versions, the glibc family, the closure."""
