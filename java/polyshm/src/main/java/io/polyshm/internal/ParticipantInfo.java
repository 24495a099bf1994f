// SPDX-License-Identifier: Apache-2.0
package io.polyshm.internal;

import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** A participant as it was listed. */
public record ParticipantInfo(
        Identity identity,
        String command,
        Optional<Instant> startTime,
        Instant since,
        List<String> locks) {

    /** What tells a participant from all others, those of other segments included. */
    public record Identity(
            ByteBuffer segmentId, int slot, int pid, long startTicks, long sinceNanos) {}
}
