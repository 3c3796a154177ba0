import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.AsyncCallback;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/**
 * The Java client as a driver of the matrix (README.md). All calls are asynchronous ones, so that replies and watch events come on one thread in the
 * order of the connection, and the log of a session shows that order.
 */
public final class Driver {
    private static final long LIMIT_MS = 20_000;
    private static final int LONG_DATA = 256;

    private static final class Session implements Watcher {
        ZooKeeper zk;
        final BlockingQueue<String> states = new LinkedBlockingQueue<>();
        final List<String> log = Collections.synchronizedList(new ArrayList<>());

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) states.add(event.getState().name());
        }

        Watcher watcher(String label) {
            if (label.isEmpty()) return null;
            return event -> {
                if (event.getType() != Event.EventType.None) log.add(label + " " + event.getType() + " " + event.getPath());
            };
        }

        String await(String... wanted) throws Exception {
            for (;;) {
                String state = states.poll(LIMIT_MS, TimeUnit.MILLISECONDS);
                if (state == null) return "{\"refused\":\"no " + String.join(" or ", wanted) + "\"}";
                if (Arrays.asList(wanted).contains(state)) return "{\"state\":\"" + state + "\"}";
            }
        }

        String connected() throws Exception {
            String answer = await("SyncConnected", "ConnectedReadOnly", "Expired", "AuthFailed");
            if (!answer.contains("Connected")) return answer;
            String readOnly = answer.contains("ReadOnly") ? ",\"state\":\"ConnectedReadOnly\"" : "";
            return "{\"session\":\"" + zk.getSessionId() + "\",\"timeout\":" + zk.getSessionTimeout() + readOnly + "}";
        }
    }

    /** One call under way. */
    private static final class Call extends CompletableFuture<String> {
        private final Session session;
        private final String verb;

        Call(Session session, String verb) {
            this.session = session;
            this.verb = verb;
        }

        /** `fields` come in pairs of name and JSON value; they stand in the answer if the call was well. */
        void done(int rc, String... fields) {
            session.log.add("= " + verb);
            complete(rc == 0 ? object(fields) : object("error", Integer.toString(rc)));
        }
    }

    private final Map<String, Session> sessions = new HashMap<>();

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Driver driver = new Driver();
        for (String line; (line = in.readLine()) != null; ) {
            String[] fields = fields(line, "\t");
            String answer;
            try {
                answer = driver.run(fields);
            } catch (IllegalArgumentException | NullPointerException e) {
                answer = object("refused", text(e.getClass().getSimpleName()));
            } catch (KeeperException e) {
                answer = object("error", Integer.toString(e.code().intValue()));
            } catch (TimeoutException e) {
                answer = object("refused", text("no answer"));
            }
            out.println(answer);
        }
        System.exit(0);
    }

    private String run(String[] f) throws Exception {
        switch (f[0]) {
            case "connect":
                return open(f, null);
            case "reattach":
                return open(f, sessions.get(f[4]));
            case "close":
                sessions.get(f[1]).zk.close();
                return "{}";
            case "await":
                return sessions.get(f[1]).await(f[2]);
            case "events":
                return events(sessions.get(f[1]));
            case "whoAmI":
                return object("ids", list(sessions.get(f[1]).zk.whoAmI(), id -> text(id.getAuthScheme() + ":" + id.getUser())));
            case "addAuth":
                sessions.get(f[1]).zk.addAuthInfo(f[2], f[3].getBytes(StandardCharsets.UTF_8));
                return "{}";
            default:
                Session session = sessions.get(f[1]);
                Call call = new Call(session, f[0]);
                if (!write(session.zk, f, call) && !read(session, f, call)) return object("unsupported", text(f[0]));
                return call.get(LIMIT_MS, TimeUnit.MILLISECONDS);
        }
    }

    private String open(String[] f, Session other) throws Exception {
        Session session = new Session();
        int timeout = Integer.parseInt(f[3]);
        if (other == null) {
            session.zk = new ZooKeeperAdmin(f[2], timeout, session, isReadOnly(f));
        } else {
            byte[] password = other.zk.getSessionPasswd().clone();
            if (f[5].equals("wrong")) password[0] ^= 1;
            session.zk = new ZooKeeper(f[2], timeout, session, other.zk.getSessionId(), password);
        }
        sessions.put(f[1], session);
        return session.connected();
    }

    private static boolean isReadOnly(String[] f) {
        return f.length > 4 && f[4].equals("read-only");
    }

    private String events(Session session) throws Exception {
        Call barrier = new Call(session, "");
        session.zk.sync("/", (rc, path, ctx) -> barrier.complete("" + rc), null);
        barrier.get(LIMIT_MS, TimeUnit.MILLISECONDS);
        synchronized (session.log) {
            String answer = object("events", list(session.log, Driver::text));
            session.log.clear();
            return answer;
        }
    }

    private static boolean write(ZooKeeper zk, String[] f, Call call) {
        switch (f[0]) {
            case "create":
                zk.create(f[2], bytes(f[3]), acl(f[4]), mode(f[5]), (AsyncCallback.StringCallback) (rc, p, c, name) -> call.done(rc, "path", text(name)), null);
                return true;
            case "create2": {
                AsyncCallback.Create2Callback done = (rc, p, c, name, stat) -> call.done(rc, "path", text(name), "stat", stat(stat));
                if (mode(f[5]).isTTL()) zk.create(f[2], bytes(f[3]), acl(f[4]), mode(f[5]), done, null, Long.parseLong(f[6]));
                else zk.create(f[2], bytes(f[3]), acl(f[4]), mode(f[5]), done, null);
                return true;
            }
            case "delete":
                zk.delete(f[2], Integer.parseInt(f[3]), (rc, p, c) -> call.done(rc), null);
                return true;
            case "setData":
                zk.setData(f[2], bytes(f[3]), Integer.parseInt(f[4]), (rc, p, c, stat) -> call.done(rc, "stat", stat(stat)), null);
                return true;
            case "setAcl":
                zk.setACL(f[2], acl(f[3]), Integer.parseInt(f[4]), (rc, p, c, stat) -> call.done(rc, "stat", stat(stat)), null);
                return true;
            case "sync":
                zk.sync(f[2], (rc, p, c) -> call.done(rc), null);
                return true;
            case "multi":
            case "multiRead":
                zk.multi(Arrays.stream(f).skip(2).map(Driver::op).collect(Collectors.toList()), (rc, p, c, results) -> call.complete(
                    rc == 0
                        ? object("results", list(results, Driver::result))
                        : object("error", Integer.toString(rc), "results", results == null ? "null" : list(results, Driver::result))
                ), null);
                return true;
            case "reconfig":
                // Only a session of `connect` is one for administration.
                ((ZooKeeperAdmin) zk).reconfigure(orNull(f[2]), orNull(f[3]), orNull(f[4]), -1, (rc, p, c, data, stat) -> call.done(rc, "stat", stat(stat)), null);
                return true;
            default:
                return false;
        }
    }

    private static boolean read(Session session, String[] f, Call call) {
        ZooKeeper zk = session.zk;
        AsyncCallback.VoidCallback nothing = (rc, p, c) -> call.done(rc);
        AsyncCallback.StatCallback statOnly = (rc, p, c, stat) -> call.done(rc, "stat", stat(stat));
        Watcher watcher = f.length > 3 ? session.watcher(f[3]) : null;
        switch (f[0]) {
            case "exists":
                zk.exists(f[2], watcher, statOnly, null);
                return true;
            case "getData":
                zk.getData(f[2], watcher, (rc, p, c, data, stat) -> call.done(rc, "data", data(data), "stat", stat(stat)), null);
                return true;
            case "getChildren":
                zk.getChildren(f[2], watcher, (AsyncCallback.ChildrenCallback) (rc, p, c, names) -> call.done(rc, "children", texts(names)), null);
                return true;
            case "getChildren2":
                zk.getChildren(f[2], watcher, (rc, p, c, names, stat) -> call.done(rc, "children", texts(names), "stat", stat(stat)), null);
                return true;
            case "getAcl":
                zk.getACL(f[2], new Stat(), (rc, p, c, acl, stat) -> call.done(rc, "acl", acls(acl), "stat", stat(stat)), null);
                return true;
            case "getEphemerals":
                zk.getEphemerals(f[2], (rc, c, paths) -> call.done(rc, "paths", texts(paths)), null);
                return true;
            case "getAllChildrenNumber":
                zk.getAllChildrenNumber(f[2], (rc, p, c, number) -> call.done(rc, "count", Integer.toString(number)), null);
                return true;
            case "addWatch":
                zk.addWatch(f[2], session.watcher(f[4]), f[3].equals("0") ? AddWatchMode.PERSISTENT : AddWatchMode.PERSISTENT_RECURSIVE, nothing, null);
                return true;
            case "removeWatches":
                zk.removeAllWatches(f[2], Watcher.WatcherType.fromInt(Integer.parseInt(f[3])), false, nothing, null);
                return true;
            default:
                return false;
        }
    }

    private static Op op(String arg) {
        String[] f = fields(arg, "\\|");
        switch (f[0]) {
            case "create":
                return f[5].isEmpty() ? Op.create(f[1], bytes(f[2]), acl(f[3]), mode(f[4])) : Op.create(f[1], bytes(f[2]), acl(f[3]), mode(f[4]), Long.parseLong(f[5]));
            case "delete":
                return Op.delete(f[1], Integer.parseInt(f[2]));
            case "setData":
                return Op.setData(f[1], bytes(f[2]), Integer.parseInt(f[3]));
            case "check":
                return Op.check(f[1], Integer.parseInt(f[2]));
            case "getData":
                return Op.getData(f[1]);
            default:
                return Op.getChildren(f[1]);
        }
    }

    private static String result(OpResult result) {
        if (result instanceof OpResult.ErrorResult r) return object("error", Integer.toString(r.getErr()));
        if (result instanceof OpResult.CreateResult r) return object("path", text(r.getPath()), "stat", stat(r.getStat()));
        if (result instanceof OpResult.SetDataResult r) return object("stat", stat(r.getStat()));
        if (result instanceof OpResult.GetDataResult r) return object("data", data(r.getData()), "stat", stat(r.getStat()));
        if (result instanceof OpResult.GetChildrenResult r) return object("children", texts(r.getChildren()));
        return "{}";
    }

    private static String[] fields(String line, String separator) {
        return Arrays.stream(line.split(separator, -1)).map(f -> URLDecoder.decode(f.replace("+", "%2B"), StandardCharsets.UTF_8)).toArray(String[]::new);
    }

    private static String orNull(String arg) {
        return arg.isEmpty() ? null : arg;
    }

    private static CreateMode mode(String flag) {
        try {
            return CreateMode.fromFlag(Integer.parseInt(flag));
        } catch (KeeperException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static byte[] bytes(String arg) {
        if (arg.equals("-")) return null;
        int star = arg.indexOf('*');
        if (star >= 0) {
            byte[] data = new byte[Integer.parseInt(arg.substring(star + 1))];
            Arrays.fill(data, (byte) Integer.parseInt(arg.substring(0, star), 16));
            return data;
        }
        byte[] data = new byte[arg.length() / 2];
        for (int i = 0; i < data.length; i++) data[i] = (byte) Integer.parseInt(arg.substring(2 * i, 2 * i + 2), 16);
        return data;
    }

    private static List<ACL> acl(String arg) {
        if (arg.isEmpty()) return new ArrayList<>();
        return Arrays.stream(arg.split(",")).map(entry -> {
            String[] parts = entry.split(":", 3);
            return new ACL(Integer.parseInt(parts[0]), new Id(parts[1], parts[2]));
        }).collect(Collectors.toList());
    }

    private static String acls(List<ACL> acl) {
        return acl == null ? "null" : list(acl, a -> text(a.getPerms() + ":" + a.getId().getScheme() + ":" + a.getId().getId()));
    }

    private static String data(byte[] data) {
        if (data == null) return "null";
        StringBuilder hex = new StringBuilder();
        for (int i = 0; i < data.length && i < LONG_DATA; i++) hex.append(String.format("%02x", data[i]));
        return text(data.length <= LONG_DATA ? hex.toString() : data.length + ":" + hex);
    }

    private static String stat(Stat s) {
        if (s == null) return "null";
        return String.format(
            "[\"%d\",\"%d\",\"%d\",\"%d\",%d,%d,%d,\"%d\",%d,%d,\"%d\"]",
            s.getCzxid(), s.getMzxid(), s.getCtime(), s.getMtime(), s.getVersion(), s.getCversion(), s.getAversion(), s.getEphemeralOwner(),
            s.getDataLength(), s.getNumChildren(), s.getPzxid()
        );
    }

    private static String texts(List<String> texts) {
        return texts == null ? "null" : list(texts, Driver::text);
    }

    private static <T> String list(List<T> items, Function<T, String> toJson) {
        return items.stream().map(toJson).collect(Collectors.joining(",", "[", "]"));
    }

    private static String object(String... fields) {
        List<String> members = new ArrayList<>();
        for (int i = 0; i < fields.length; i += 2) members.add("\"" + fields[i] + "\":" + fields[i + 1]);
        return "{" + String.join(",", members) + "}";
    }

    private static String text(String text) {
        if (text == null) return "null";
        StringBuilder json = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') json.append('\\').append(c);
            else if (c < 0x20) json.append(String.format("\\u%04x", (int) c));
            else json.append(c);
        }
        return json.append('"').toString();
    }
}
