/// The release of Gatehouse that this program belongs to.
public let gatehouseVersion = "0.1.0"
