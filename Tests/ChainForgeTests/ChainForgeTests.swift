import ChainForge
import Testing
