"""Everything that imports Ray: trials, their workers, and the actors that trials share. Algorithm 1 is not part of this
package."""
