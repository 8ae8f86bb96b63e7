/** The request that an act came with, as far as it tells: for the list of devices, the count of tries and the record of events. */
export type Visit = {
  /** The dialect it was spoken in, or `cli`. */
  door: string
  /** The same as in the log and in the answer's `x-request-id`. */
  requestId: string
  userAgent: string | null
  ipAddress: string | null
  /** What the device calls itself, a secret between it and us; undefined: it keeps nothing. */
  deviceId?: string | undefined
}
