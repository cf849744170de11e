/** A TCP port that was free a moment ago, for a server that can be killed and started again on the same one. */
export declare function freePort(): Promise<number>;
