import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.retry.RetryForever;

/**
 * Curator's lock and leader latch, contended for by some threads, each with a client of its own. Whoever holds one writes `begin NAME` and `end NAME` to a file that
 * all processes append to. Arguments: hosts, lock or latch, file, name of this process, threads, rounds of each.
 */
public final class Curator {
    public static void main(String[] args) throws Exception {
        String hosts = args[0], recipe = args[1], file = args[2], name = args[3];
        int threads = Integer.parseInt(args[4]), rounds = Integer.parseInt(args[5]);
        List<Thread> running = new ArrayList<>();
        for (int i = 0; i < threads; i++) {
            String own = name + "-" + i;
            Thread thread = new Thread(() -> {
                try (CuratorFramework client = CuratorFrameworkFactory.newClient(hosts, 10_000, 10_000, new RetryForever(50));
                    FileOutputStream out = new FileOutputStream(file, true)) {
                    client.start();
                    client.blockUntilConnected();
                    for (int round = 0; round < rounds; round++) {
                        if (recipe.equals("lock")) lock(client, out, own);
                        else latch(client, out, own);
                    }
                } catch (Exception e) {
                    e.printStackTrace();
                    System.exit(1);
                }
            });
            running.add(thread);
            thread.start();
        }
        for (Thread thread : running) thread.join();
    }

    private static void lock(CuratorFramework client, FileOutputStream out, String name) throws Exception {
        InterProcessMutex mutex = new InterProcessMutex(client, "/curator/lock");
        if (!mutex.acquire(60, TimeUnit.SECONDS)) throw new IllegalStateException(name + " had no lock in time");
        try {
            hold(out, name);
        } finally {
            mutex.release();
        }
    }

    private static void latch(CuratorFramework client, FileOutputStream out, String name) throws Exception {
        try (LeaderLatch latch = new LeaderLatch(client, "/curator/latch", name)) {
            latch.start();
            if (!latch.await(60, TimeUnit.SECONDS)) throw new IllegalStateException(name + " never led");
            if (!latch.getLeader().getId().equals(name)) throw new IllegalStateException(name + " leads and another is named");
            hold(out, name);
        }
    }

    /** One write for each line: the file is opened for appending, so lines of several processes do not mix. */
    private static void hold(FileOutputStream out, String name) throws IOException, InterruptedException {
        out.write(("begin " + name + "\n").getBytes(StandardCharsets.UTF_8));
        Thread.sleep(2);
        out.write(("end " + name + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
